/* SPDX-License-Identifier: MIT */
/*
 * What the two files that know oneDNN share: the two generations of its C API, layouts, error
 * texts.
 *
 * 2.x has memory descriptors by value and operation descriptors that are initialised first; 3.x has
 * opaque memory descriptors and makes primitive descriptors in one step. `vj_md` owns a descriptor,
 * `vj_md_view` looks at one.
 */
#ifndef VJ_HOST_ONEDNN_INTERNAL_H
#define VJ_HOST_ONEDNN_INTERNAL_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "host/error.h"
#include "host/onednn.h"

struct vj_dnn {
    dnnl_engine_t engine;
};

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t vj_md_view;
#else
typedef const dnnl_memory_desc_t *vj_md_view;
#endif

struct vj_md {
    dnnl_memory_desc_t desc;
};

static inline vj_md_view vj_md_look(const struct vj_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    return md->desc;
#else
    return &md->desc;
#endif
}

static inline dnnl_status_t vj_md_tagged(struct vj_md *md, int rank, const dnnl_dims_t dims,
                                         dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(&md->desc, rank, dims, dnnl_f32, tag);
#else
    return dnnl_memory_desc_init_by_tag(&md->desc, rank, dims, dnnl_f32, tag);
#endif
}

static inline void vj_md_drop(struct vj_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (md->desc)
        dnnl_memory_desc_destroy(md->desc);
#endif
    memset(md, 0, sizeof(*md));
}

/* "oneDNN: NAME: WHAT failed: REASON (status N)" with -ENOMEM or -EIO. */
int vj_dnn_fail(struct vj_error *err, const char *name, const char *what, dnnl_status_t status);

/* Attributes of an operation whose scratch memory comes from the caller, with an optional relu. */
dnnl_status_t vj_dnn_attributes(dnnl_primitive_attr_t *attr, bool relu);

/*
 * With 8 or 16 channels NHWC and the layout in blocks of as many are one and the same, but oneDNN
 * looks for fast code by name: 2.6 has that of backward passes under the blocked name, 3.x that of
 * AVX2 under NHWC. Hence both names are tried, in this order.
 */
enum vj_dnn_name { VJ_DNN_BLOCKED, VJ_DNN_NHWC, VJ_DNN_NAMES };

/* Format tag of a map with this channel block, VJ_DNN_ANY included. */
dnnl_format_tag_t vj_dnn_map_tag(size_t block, size_t channels, enum vj_dnn_name name);

/* Whether oneDNN has nothing for this description but its plain loops, slower by far. */
bool vj_dnn_is_reference(const_dnnl_primitive_desc_t desc);

/* Channel block of a map's descriptor; VJ_DNN_OTHER when the layout has none. */
size_t vj_dnn_block_of(vj_md_view desc, const dnnl_dims_t dims);

#endif
