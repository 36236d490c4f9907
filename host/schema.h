/* SPDX-License-Identifier: MIT */
/* What stands where in a results file (schema "vpjnd-results", version 1), and how a row gets
 * there. */
#ifndef VJ_HOST_SCHEMA_H
#define VJ_HOST_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/engine.h"
#include "host/error.h"
#include "host/image_list.h"
#include "host/results.h"

#define VJ_SCHEMA_NAME "vpjnd-results"

/* Column of the sources' digests (host/picture_digest.h). */
#define VJ_SCHEMA_SOURCE_SHA256 "/images/source_sha256"

enum {
    VJ_SCHEMA_VERSION = 1,
    VJ_SCHEMA_ERROR_SIZE = 512, /* bytes of /images/error */
    /* /images/status */
    VJ_STATUS_PENDING = -1,
    VJ_STATUS_OK = 0,
    VJ_STATUS_FAILED = 1,
};

/* Facts of the run that the root attributes record. Strings are borrowed. */
struct vj_run_facts {
    const char *command_line;
    const struct vj_dataset_info *dataset;
    const char *rows_from; /* files that rows are taken from (host/rows_from.h), NULL for none */
};

/* Attributes that say by which program's arithmetic a file's numbers are: name and value. */
enum { VJ_SCHEMA_PROGRAM_FACTS = 3 };
extern const char *const vj_schema_program[VJ_SCHEMA_PROGRAM_FACTS][2];

/* The columns of a run's file, *count of them, owned by the caller. */
int vj_schema_columns(struct vj_column **list, size_t *count, const struct vj_engine *engine,
                      const struct vj_image_list *images, struct vj_error *err);

/* Does vj_schema_write_row() write this column? Of the others, labels and names stand there before
 * it, and predictions come when the run ends; /images/status, which it writes too, is none. */
bool vj_schema_is_measured(const char *path);

/* Creates NAME.part with every column, the images' names and labels, and the root attributes. */
int vj_schema_create(struct vj_results **results, const char *path, const struct vj_engine *engine,
                     const struct vj_image_list *images, const struct vj_run_facts *facts,
                     struct vj_error *err);

/* Checks that a file is a results file of this version; the error does not name the file. */
int vj_schema_check(struct vj_results *results, struct vj_error *err);

/*
 * Checks that a file belongs to the very same run; part: or to one of other images of the data set
 * (options ids, part, limit), wherever that lies (root). The error says what "it" differs in.
 */
int vj_schema_match(struct vj_results *results, const struct vj_engine *engine,
                    const struct vj_image_list *images, const struct vj_run_facts *facts, bool part,
                    struct vj_error *err);

/* Writes everything that was measured on one picture; the status last. */
int vj_schema_write_row(struct vj_results *results, const struct vj_engine *engine,
                        const struct vj_row *row, struct vj_error *err);

/* "/predictors/<name>/<what>" in a buffer of VJ_SCHEMA_PATH bytes. */
enum { VJ_SCHEMA_PATH = 192 };
const char *vj_schema_path(char path[VJ_SCHEMA_PATH], const char *predictor, const char *what);

#endif
