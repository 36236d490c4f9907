/* SPDX-License-Identifier: MIT */
/* The two layers of a PyTorch file, host/pth.h: a ZIP archive of plain members, and a pickle. */
#ifndef VJ_HOST_PTH_INTERNAL_H
#define VJ_HOST_PTH_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* Bytes in the memory of someone else, without a NUL. */
struct vj_span {
    const uint8_t *data;
    size_t size;
};

struct vj_zip_member {
    struct vj_span name, data; /* within the archive */
};

struct vj_zip {
    struct vj_zip_member *member; /* [count], owned */
    size_t count;
};

/*
 * Lists the members of a ZIP archive in memory and checks each one's CRC-32. Only members stored
 * without compression and encryption are accepted, and together they cannot be larger than the
 * archive: nothing is unpacked, so nothing can grow.
 * zip: zeroed by the caller, released with vj_zip_free() whatever the outcome; points into `file`
 */
int vj_zip_list(struct vj_zip *zip, struct vj_span file, struct vj_error *err);
void vj_zip_free(struct vj_zip *zip);

/* Member by name, or NULL. */
const struct vj_zip_member *vj_zip_find(const struct vj_zip *zip, const char *name);

enum { VJ_PICKLE_RANK_MAX = 8 };

/* A tensor as the pickle describes it. */
struct vj_pickle_tensor {
    struct vj_span name;
    struct vj_span storage;  /* key of the member that holds the numbers */
    uint64_t storage_values; /* float32 numbers there */
    uint64_t offset;         /* of the tensor, in numbers */
    int rank;
    uint64_t shape[VJ_PICKLE_RANK_MAX], stride[VJ_PICKLE_RANK_MAX];
};

/*
 * Reads the tensors of a state dictionary from data.pkl. The pickle is interpreted without running
 * anything: it may build numbers, texts, tuples, lists, dictionaries and float32 tensors; any other
 * opcode and any other global is an error that names it and its offset.
 *
 * The state dictionary is the pickled dictionary itself or its entry "state_dict" or "model".
 * list: out, [*count] in the dictionary's order, owned by the caller; names point into `data`
 */
int vj_pickle_tensors(struct vj_pickle_tensor **list, size_t *count, struct vj_span data,
                      struct vj_error *err);

#endif
