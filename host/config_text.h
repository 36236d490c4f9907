/* SPDX-License-Identifier: MIT */
/*
 * What libconfig would misread in the text of a configuration, found before it reads it:
 *
 *     integers beyond 32 bits   libconfig 1.5 cuts them without a word, unless they end in L
 *     "..." over several lines  a quote that is missing is told where the next one stands
 *     @include                  on a file that cannot be read libconfig ends the program, and lines
 *                               of included files would be told as lines of the including one
 */
#ifndef VJ_HOST_CONFIG_TEXT_H
#define VJ_HOST_CONFIG_TEXT_H

#include "host/error.h"

/* name: what errors call the text. Errors: -EINVAL, with name and line. */
int vj_config_text_check(const char *text, const char *name, struct vj_error *err);

/*
 * Says what libconfig found wrong in a text that vj_config_text_check() has passed: the line
 * itself, and what to do about the usual mistakes in it.
 * line: from 1; reason: libconfig's
 * Returns -EINVAL.
 */
int vj_config_text_explain(const char *text, const char *name, int line, const char *reason,
                           struct vj_error *err);

/*
 * A file's text, zero-terminated, owned by the caller (free()); pipes can be read too.
 * Errors: -EINVAL (a zero byte in it), -EISDIR, -ENOMEM, -ENOENT and others from reading.
 */
int vj_config_text_read(char **text, const char *path, struct vj_error *err);

#endif
