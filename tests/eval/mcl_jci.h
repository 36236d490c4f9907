/* SPDX-License-Identifier: MIT */
/* The MCL-JCI labels of the optional test data, as the anchor tests need them. */
#ifndef VJ_TESTS_EVAL_MCL_JCI_H
#define VJ_TESTS_EVAL_MCL_JCI_H

#include "tests/vj_test.h"

enum { MCL_JCI_IMAGES = 50 };

/* sqf JND 1 and SUR-FeatNet fold of source 1 .. 50; skips the test without the file. */
static inline void mcl_jci_read(int32_t *qf_true, int32_t *fold)
{
    const char *name = "labels/mcl_jci_ground_truth_50.csv";
    vj_require_data(name);
    FILE *f = fopen(vj_test_data(name), "r");
    assert_non_null(f);
    char line[512];
    assert_non_null(fgets(line, sizeof(line), f));
    assert_non_null(strstr(line, "sqf_jnd1_qf"));
    for (int i = 0; i < MCL_JCI_IMAGES; i++) {
        int source, qf, k;
        assert_non_null(fgets(line, sizeof(line), f));
        assert_int_equal(
            sscanf(line, "%d,%*d,%d,%*d,%*d,%*f,%*f,%*f,%*d,%*d,%*d,%d", &source, &qf, &k), 3);
        assert_int_equal(source, i + 1);
        qf_true[i] = qf;
        fold[i] = k;
    }
    fclose(f);
}

#endif
