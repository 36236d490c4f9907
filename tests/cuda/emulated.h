/* SPDX-License-Identifier: MIT */
/* What suites do where kernels are those of emulate_threads.c, which are slow. */
#ifndef VJ_TESTS_CUDA_EMULATED_H
#define VJ_TESTS_CUDA_EMULATED_H

#include <stdbool.h>
#include <stdlib.h>

#ifdef VJ_TEST_EMULATED
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif

/* For the thread sanitizer, which is slow and sees no more in larger pictures. */
#ifdef VJ_TEST_RACES
enum { RACES = 1 };
#else
enum { RACES = 0 };
#endif

/* For the address sanitizer, which makes the emulation three times as slow. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { VJ_TEST_SKIPPED = 77 }; /* exit status that CTest takes for it */

/* Nothing of full size: too slow for the emulation, and for a checker of memory on a GPU. */
static inline bool small_only(void)
{
    return EMULATED || getenv("VPJND_TEST_SMALL");
}

#endif
