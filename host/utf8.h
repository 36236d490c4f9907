/* SPDX-License-Identifier: MIT */
/* Cutting texts with names of files in them. */
#ifndef VJ_HOST_UTF8_H
#define VJ_HOST_UTF8_H

#include <stddef.h>
#include <string.h>

/*
 * How many of a text's bytes are kept where there is room for `most`: all, or as many as do not end
 * within a character of UTF-8. Of bytes that are none, `most`.
 */
static inline size_t vj_utf8_cut(const char *text, size_t most)
{
    enum { FOLLOWING_MAX = 3 }; /* bytes of a character behind its first */
    const size_t size = strnlen(text, most + 1);
    size_t end = most;
    if (size <= most)
        return size;
    while (end > 0 && most - end < FOLLOWING_MAX && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    return ((unsigned char)text[end] & 0xC0) == 0x80 ? most : end;
}

#endif
