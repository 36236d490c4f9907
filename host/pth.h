/* SPDX-License-Identifier: MIT */
/*
 * Tensors of a PyTorch file (.pth, .pt) as torch.save() has written it since 1.6: a ZIP archive of
 * uncompressed members, of which data.pkl describes a state dictionary and data/N hold the numbers.
 *
 * The file is treated as data from a stranger: nothing in it is executed, nothing is unpacked, and
 * everything that is not a contiguous float32 tensor in a dictionary is an error that names the
 * file and the field.
 */
#ifndef VJ_HOST_PTH_H
#define VJ_HOST_PTH_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/sha256.h"

enum { VJ_PTH_RANK_MAX = 8 };

struct vj_pth_tensor {
    char
        name[128]; /* key of the state dictionary, without a leading "module."; cut off if longer */
    int rank;
    size_t shape[VJ_PTH_RANK_MAX];
    size_t count;     /* product of the shape */
    const void *data; /* count float32 values, little-endian, on any byte boundary */
};

/* An open file: an owned copy of its bytes, and its tensors in the dictionary's order. */
struct vj_pth {
    unsigned char *bytes;
    size_t size;
    struct vj_pth_tensor *tensor;
    size_t count;
    char sha256[VJ_SHA256_HEX]; /* of the file */
};

/*
 * Reads the file and lists its tensors. At most 1 GiB is read.
 * pth: zeroed by the caller, released with vj_pth_close() whatever the outcome
 * Errors: -EINVAL (damaged or inconsistent), -ENOTSUP (sound, but not merely tensors), -E2BIG,
 * those of the file system, -ENOMEM.
 */
int vj_pth_open(struct vj_pth *pth, const char *path, struct vj_error *err);
void vj_pth_close(struct vj_pth *pth);

/* Whether the name ends in .pth or .pt, in either case of letters. */
bool vj_pth_is_name(const char *path);

#endif
