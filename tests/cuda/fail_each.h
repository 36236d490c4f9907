/* SPDX-License-Identifier: MIT */
/* Calls of CUDA, cuDNN and cuBLASLt that fail, one after the other, in functions that work on
 * little: emulation only. */
#ifndef VJ_TESTS_CUDA_FAIL_EACH_H
#define VJ_TESTS_CUDA_FAIL_EACH_H

#include "tests/vj_test.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * run() must fail whenever one of its calls does, and only then. Between two runs is a call that
 * does not count, from which the next ones are counted anew. Returns about the number of calls.
 * step: of each so many calls one fails
 * another_way: run() may succeed without the call, and looks at what has come of it
 */
static inline unsigned fail_each(int (*run)(void *), void *user, unsigned step, bool another_way)
{
    for (unsigned call = 1;; call += step) {
        char text[16];
        snprintf(text, sizeof(text), "%u", call);
        setenv("VPJND_EMULATE_FAIL", text, 1);
        const int r = run(user);
        const bool failed = !getenv("VPJND_EMULATE_FAIL");
        unsetenv("VPJND_EMULATE_FAIL");
        assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
        if (failed ? r == 0 && !another_way : r != 0)
            fail_msg("call %u %s, and %d was returned", call, failed ? "failed" : "was none", r);
        if (!failed)
            return call - 1;
    }
}

#endif
