/* SPDX-License-Identifier: MIT */
/* libjpeg-turbo as judge of the JPEG candidates, called directly: nothing of ours is in between. */
#ifndef VJ_TESTS_JPEG_ORACLE_H
#define VJ_TESTS_JPEG_ORACLE_H

#include "tests/vj_test.h"

#include <jpeglib.h>

#include "host/image.h"

static inline void oracle_fail(j_common_ptr info)
{
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    fail_msg("libjpeg: %s", text);
}

static inline void oracle_message(j_common_ptr info, int level)
{
    if (level < 0)
        oracle_fail(info);
}

static inline struct jpeg_error_mgr *oracle_errors(struct jpeg_error_mgr *errors)
{
    jpeg_std_error(errors);
    errors->error_exit = oracle_fail;
    errors->emit_message = oracle_message;
    return errors;
}

/* A compressor with libjpeg's defaults. *data, NULL or from malloc, is replaced by the file. */
static inline void oracle_start(struct jpeg_compress_struct *c, struct jpeg_error_mgr *errors,
                                unsigned char **data, unsigned long *size, size_t width,
                                size_t height, int channels)
{
    free(*data);
    *data = NULL;
    *size = 0;
    c->err = oracle_errors(errors);
    jpeg_create_compress(c);
    jpeg_mem_dest(c, data, size);
    c->image_width = (JDIMENSION)width;
    c->image_height = (JDIMENSION)height;
    c->input_components = channels;
    c->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
}

/* Encodes a picture; returns the size of the file, *data as in oracle_start(). */
static inline unsigned long oracle_encode(unsigned char **data, const struct vj_image *img, int qf,
                                          enum vj_subsampling sampling, bool optimise)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned long size;
    oracle_start(&c, &errors, data, &size, img->width, img->height, img->channels);
    jpeg_set_quality(&c, qf, TRUE);
    c.optimize_coding = optimise;
    int factor = img->channels == 3 && sampling == VJ_SUBSAMPLING_420 ? 2 : 1;
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = factor;
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = img->data + c.next_scanline * img->width * (size_t)img->channels;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return size;
}

/* Decodes with libjpeg's defaults into height x width x channels. */
static inline void oracle_decode(uint8_t *out, const unsigned char *data, unsigned long size)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr errors;
    d.err = oracle_errors(&errors);
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, data, size);
    jpeg_read_header(&d, TRUE);
    jpeg_start_decompress(&d);
    size_t stride = (size_t)d.output_width * (size_t)d.output_components;
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = out + d.output_scanline * stride;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
}

/*
 * Writes a grey file with optimised tables whose 64-coefficient blocks (natural order, already
 * quantised) come from `fill`; returns its size, *data as in oracle_start().
 */
static inline unsigned long oracle_write_blocks(unsigned char **data, size_t across, size_t down,
                                                void (*fill)(size_t block, JCOEF out[64]))
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned long size;
    oracle_start(&c, &errors, data, &size, 8 * across, 8 * down, 1);
    c.optimize_coding = TRUE;
#if JPEG_LIB_VERSION >= 70 /* the size that is written; other ways to compress set it themselves */
    c.jpeg_width = c.image_width;
    c.jpeg_height = c.image_height;
#endif
    jvirt_barray_ptr blocks = c.mem->request_virt_barray((j_common_ptr)&c, JPOOL_IMAGE, TRUE,
                                                         (JDIMENSION)across, (JDIMENSION)down, 1);
    jpeg_write_coefficients(&c, &blocks);
    for (size_t row = 0; row < down; row++) {
        JBLOCKARRAY line =
            c.mem->access_virt_barray((j_common_ptr)&c, blocks, (JDIMENSION)row, 1, TRUE);
        for (size_t column = 0; column < across; column++)
            fill(row * across + column, line[0][column]);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return size;
}

#endif
