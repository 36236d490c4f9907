/* SPDX-License-Identifier: MIT */
/* Figures that others published, from results/published.csv. */
#ifndef VJ_HOST_PUBLISHED_H
#define VJ_HOST_PUBLISHED_H

#include <stddef.h>

#include "eval/report.h"
#include "host/error.h"

/* Which of the figures a report shows. */
enum vj_published_scope {
    VJ_PUBLISHED_NONE = 0,
    VJ_PUBLISHED_DATASET, /* those of the data set at hand */
    VJ_PUBLISHED_ALL,
};

/* Figures in the order of the file; strings are owned. Released by vj_published_free(). */
struct vj_published {
    char file[4096];
    struct vj_report_published *row;
    size_t count, capacity;
};

/*
 * Reads the CSV (RFC 4180) with the columns model, data_set, codec, jnd, metric, point, relation,
 * value, uncertainty, units, labels, source, note, in any order.
 *
 * published: zeroed by the caller
 * file:    NULL = results/published.csv in the working folder, else ../results/published.csv or
 *          ../share/vpjnd/published.csv beside the program
 * dataset: only rows with this data_set; NULL = all
 *
 * Errors: -ENOENT naming the places looked at; -EINVAL naming file:line and value.
 */
int vj_published_read(struct vj_published *published, const char *file, const char *dataset,
                      struct vj_error *err);
void vj_published_free(struct vj_published *published);

#endif
