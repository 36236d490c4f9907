/* SPDX-License-Identifier: MIT */
/* Whether a text is JSON. */
#ifndef VJ_TESTS_EVAL_JSON_READER_H
#define VJ_TESTS_EVAL_JSON_READER_H

#include "tests/vj_test.h"

#include <ctype.h>

/* A strict reader of JSON (RFC 8259): returns what follows the value, fails the test on anything
 * odd. */
static inline const char *json_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static inline const char *json_expect(const char *p, char c)
{
    p = json_space(p);
    if (*p != c)
        fail_msg("JSON: expected %c at \"%.40s\"", c, p);
    return p + 1;
}

static inline const char *json_text(const char *p)
{
    p = json_expect(p, '"');
    while (*p != '"') {
        if ((unsigned char)*p < 0x20)
            fail_msg("JSON: control character or end inside a string");
        if (*p == '\\') {
            p++;
            assert_non_null(strchr("\"\\/bfnrtu", *p));
            for (int i = 0; *p == 'u' && i < 4; i++)
                assert_true(isxdigit((unsigned char)p[1 + i]));
        }
        p++;
    }
    return p + 1;
}

static inline const char *json_value(const char *p, int *depth);

static inline const char *json_members(const char *p, char close, int *depth)
{
    p = json_space(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}')
            p = json_expect(json_text(p), ':');
        p = json_space(json_value(p, depth));
        if (*p == close)
            return p + 1;
        p = json_expect(p, ',');
    }
}

static inline const char *json_number(const char *p)
{
    size_t size = strspn(p, "-+.eE0123456789");
    char digits[64], *end;
    assert_true(size > 0 && size < sizeof(digits));
    memcpy(digits, p, size);
    digits[size] = '\0';
    const char *integer = digits + (digits[0] == '-');
    assert_true(isdigit((unsigned char)integer[0]));
    assert_false(integer[0] == '0' && isdigit((unsigned char)integer[1]));
    assert_true(isfinite(strtod(digits, &end)));
    assert_int_equal(*end, '\0');
    return p + size;
}

static inline const char *json_value(const char *p, int *depth)
{
    static const char *const words[] = {"true", "false", "null"};
    p = json_space(p);
    assert_true(++*depth < 50);
    if (*p == '{' || *p == '[')
        p = json_members(p, *p == '{' ? '}' : ']', depth);
    else if (*p == '"')
        p = json_text(p);
    else if (*p == '-' || isdigit((unsigned char)*p))
        p = json_number(p);
    else {
        size_t w = 0;
        while (w < 3 && strncmp(p, words[w], strlen(words[w])) != 0)
            w++;
        if (w == 3)
            fail_msg("JSON: no value at \"%.40s\"", p);
        p += strlen(words[w]);
    }
    --*depth;
    return p;
}

#endif
