/* SPDX-License-Identifier: MIT */
/*
 * Patches and what the CPU's network scores them, for scripts/gpu-torch.py to check its own network
 * with.
 *
 *     dump_scores WEIGHTS.h5 PATCHES CANDIDATES OUT.h5
 *
 * HDF5, all float32: r [P][S][S][3], j [P][S][S], d [n][P][S][S][3] with values 0..255, and score
 * [n], quality and weight [n][P].
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/h5.h"
#include "host/net.h"
#include "host/weights.h"
#include "tests/host/net_formula.h"

struct dump {
    size_t size, patches, n;
    uint8_t *r, *j, *d;
    float *score, *quality, *weight;
};

static bool dump_make(struct dump *p)
{
    const size_t px = p->size * p->size;
    p->r = vj_calloc(p->patches, px * 3);
    p->j = vj_calloc(p->patches, px);
    p->d = vj_calloc(p->n * p->patches, px * 3);
    p->score = vj_calloc(p->n, sizeof(float));
    p->quality = vj_calloc(p->n * p->patches, sizeof(float));
    p->weight = vj_calloc(p->n * p->patches, sizeof(float));
    if (!p->r || !p->j || !p->d || !p->score || !p->quality || !p->weight)
        return false;
    for (size_t k = 0; k < p->patches; k++) {
        formula_patch(p->r + k * px * 3, FORMULA_REFERENCE, k, p->size, 3);
        formula_patch(p->j + k * px, FORMULA_JND, k, p->size, 1);
        for (size_t i = 0; i < p->n; i++)
            formula_patch(p->d + (i * p->patches + k) * px * 3, FORMULA_CANDIDATE + (int)i, k,
                          p->size, 3);
    }
    return true;
}

static void dump_free(struct dump *p)
{
    void *const all[] = {p->r, p->j, p->d, p->score, p->quality, p->weight};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

static int score(struct dump *p, const struct vj_weights *w, struct vj_error *err)
{
    struct vj_net *net = NULL;
    struct vj_net_work *work = NULL;
    struct vj_net_reference *ref = NULL;
    int r = vj_net_create(&net, w, err);
    if (!r)
        r = vj_net_work_create(&work, net, 0, err);
    if (!r)
        r = vj_net_reference_create(&ref, net, p->patches, err);
    if (!r)
        r = vj_net_reference_load(ref, work, p->r, p->j, p->patches, err);
    if (!r)
        r = vj_net_scores(work, ref, p->d, p->n, p->score, p->quality, p->weight, err);
    vj_net_reference_free(ref);
    vj_net_work_free(work);
    vj_net_free(net);
    return r;
}

static int write_bytes(hid_t file, const char *name, int rank, const size_t *dims,
                       const uint8_t *from, struct vj_error *err)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *wide = vj_calloc(count, sizeof(*wide));
    if (!wide)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        wide[i] = (float)from[i];
    int r = vj_h5_dataset_write_floats(file, name, rank, dims, wide, err);
    free(wide);
    return r;
}

static int write_all(hid_t file, const struct dump *p, struct vj_error *err)
{
    const size_t s = p->size, r_dims[] = {p->patches, s, s, 3}, j_dims[] = {p->patches, s, s};
    const size_t d_dims[] = {p->n, p->patches, s, s, 3}, v_dims[] = {p->n, p->patches};
    int r = write_bytes(file, "r", 4, r_dims, p->r, err);
    if (!r)
        r = write_bytes(file, "j", 3, j_dims, p->j, err);
    if (!r)
        r = write_bytes(file, "d", 5, d_dims, p->d, err);
    if (!r)
        r = vj_h5_dataset_write_floats(file, "score", 1, v_dims, p->score, err);
    if (!r)
        r = vj_h5_dataset_write_floats(file, "quality", 2, v_dims, p->quality, err);
    return r ? r : vj_h5_dataset_write_floats(file, "weight", 2, v_dims, p->weight, err);
}

static int write_file(const char *path, const struct dump *p, struct vj_error *err)
{
    hid_t file;
    int r = vj_h5_create(&file, path, err);
    if (r)
        return r;
    r = write_all(file, p, err);
    if (!r)
        return vj_h5_close(file, path, err);
    vj_h5_abandon(file);
    return r;
}

int main(int argc, char **argv)
{
    struct vj_error err = {0};
    struct vj_weights w = {0};
    struct dump p = {0};
    if (argc == 5) {
        p.patches = strtoul(argv[2], NULL, 10);
        p.n = strtoul(argv[3], NULL, 10);
    }
    if (p.patches < 1 || p.patches > 4096 || p.n < 1 || p.n > 4096) {
        fprintf(stderr, "usage: dump_scores WEIGHTS.h5 PATCHES CANDIDATES OUT.h5\n");
        return 2;
    }
    int r = vj_weights_read(&w, argv[1], &err);
    p.size = r ? 0 : (size_t)w.shape.patch_size;
    if (!r && !dump_make(&p))
        r = vj_fail(&err, -ENOMEM, "out of memory");
    if (!r)
        r = score(&p, &w, &err);
    if (!r)
        r = write_file(argv[4], &p, &err);
    if (r)
        fprintf(stderr, "dump_scores: %s\n", err.text);
    dump_free(&p);
    vj_weights_free(&w);
    return r ? 1 : 0;
}
