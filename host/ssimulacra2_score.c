/* SPDX-License-Identifier: MIT */
#include "host/ssimulacra2_score.h"

#include <math.h>

enum {
    SCALES = VJ_SSIMULACRA2_SCALES,
    CHANNELS = VJ_SSIMULACRA2_CHANNELS,
    MAPS = VJ_SSIMULACRA2_MAPS,
    TERMS = VJ_SSIMULACRA2_TERMS,
};

/*
 * Version 2.1: rows are X 0..5, Y 0..5, B 0..5, columns SSIM, ringing, blurring of mean1, then of
 * mean4. With fewer than six scales the rows are used up in order, whatever their label, as the
 * reference program does.
 */
static const double weights[CHANNELS * SCALES][TERMS] = {
    {0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0},
    {0, 0.0004371155730107379, 0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752},
    {0, 0.0016406437456599754, 0, 1.8422455520539298, 11.441172603757666, 0},
    {0.0007989109436015163, 0.000176816438078653, 0, 1.8787594979546387, 10.94906990605142, 0},
    {0.0007289346991508072, 0.9677937080626833, 0, 0.00014003424285435884, 0.9981766977854967,
     0.00031949755934435053},
    {0.0004550992113792063, 0, 0, 0.0013648766163243398, 0, 0},
    {0, 0, 0, 7.466890328078848, 0, 17.445833984131262},
    {0.0006235601634041466, 0, 0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264},
    {225.20515300849274, 0, 0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985},
    {176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408},
    {0, 0, 0, 34.77906344483772, 44.835625328877896, 0},
    {0, 0, 0, 0, 0, 0},
    {0, 0.0008680556573291698, 0, 0, 0, 0},
    {0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0},
    {0, 0, 0, 0.0004179171803251336, 0.0017290828234722833, 0},
    {0.0020827005846636437, 0, 0, 8.826982764996862, 23.19243343998926, 0},
    {95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493,
     171.2667255897307, 0.9807858872435379},
    {0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537},
};

/* part: six sub-scores of one channel at one scale */
static void norms(double part[TERMS], const struct vj_ssimulacra2_sums *sums, double pixels)
{
    for (int m = 0; m < MAPS; m++) {
        part[m] = sums->first[m] / pixels;
        part[MAPS + m] = sqrt(sqrt(sums->fourth[m] / pixels));
    }
}

static double weighted(const double *part, int rows)
{
    double sum = 0;
    for (int i = 0; i < rows; i++)
        for (int t = 0; t < TERMS; t++)
            sum += weights[i][t] * part[i * TERMS + t];
    return sum;
}

void vj_ssimulacra2_finish(size_t width, size_t height, const struct vj_ssimulacra2_totals *totals,
                           struct vj_ssimulacra2_result *out)
{
    *out = (struct vj_ssimulacra2_result){.score = NAN,
                                          .scales = vj_ssimulacra2_scales(width, height)};
    if (out->scales == 0)
        return;
    for (int s = 0; s < out->scales; s++) {
        for (int c = 0; c < CHANNELS; c++)
            norms(out->part + (c * out->scales + s) * TERMS, &totals->of[s][c],
                  (double)width * (double)height);
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
    }
    out->score = vj_ssimulacra2_score(weighted(out->part, CHANNELS * out->scales));
}
