/* SPDX-License-Identifier: MIT */
/*
 * Error reporting: every fallible function returns 0 or a negative errno and, when it fails, leaves
 * in the caller's `struct vj_error` one sentence that names the object (file, field, value) and
 * says what to do about it. Nothing below `main` exits or prints.
 */
#ifndef VJ_HOST_ERROR_H
#define VJ_HOST_ERROR_H

#define VJ_ERROR_TEXT 1024

struct vj_error {
    int code;                 /* negative errno of the last failure, 0 when none */
    char text[VJ_ERROR_TEXT]; /* NUL-terminated, cut off with "..." when longer */
};

/*
 * Records a failure and returns `code`, so that a caller can write `return vj_fail(err, -EINVAL,
 * ...)`.
 *
 * err:  may be NULL, then only the code is passed on
 * code: negative errno
 */
int vj_fail(struct vj_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Puts "<prefix>: " in front of the text already recorded in `err` (for callers that know the file
 * or the item where the callee knew only the field). Returns err->code, or -EIO when err is NULL.
 */
int vj_fail_prefix(struct vj_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The code of the failure that `err` holds, for the caller of a function that returned NULL; -EIO
 * where err is NULL or holds none.
 */
int vj_error_code(const struct vj_error *err);

#endif
