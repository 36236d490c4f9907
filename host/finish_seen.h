/* SPDX-License-Identifier: MIT */
/*
 * What weights say of their own training, held against the run that judges them: images that they
 * have seen, which are no test, and maps of another kind than those they learnt from.
 */
#ifndef VJ_HOST_FINISH_SEEN_H
#define VJ_HOST_FINISH_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/analysis.h"
#include "host/engine.h"
#include "host/error.h"
#include "host/results.h"

/*
 * Counts the images that trained or validated the weights that score them, as far as the weight
 * files say: by the pictures' digests (/images/source_sha256, in any data set), or by the items'
 * numbers where these are the record's (vj_trained_with).
 * p: a network, or one for each fold; of images without a network of their own none is counted
 */
int vj_count_seen(size_t *seen, struct vj_results *results, const struct vj_analysis *images,
                  const struct vj_engine *engine, const struct vj_predictor *p,
                  struct vj_error *err);

/* Whether the weights were trained on candidates of another codec than the run's, and of which. */
bool vj_other_codec(char then[16], const struct vj_engine *engine,
                    const struct vj_weights *weights);

enum { VJ_MAPS_TEXT = 256 };

/*
 * Describes the maps that a network of the run sees and those it was trained with.
 * here, then: model, variant, scale, picture and weights of the maps, as text; both empty when
 * the network sees no map, or its file does not say how it was trained in a way that this program
 * can read: nothing that has been computed may be lost for that. They are equal when the maps are.
 */
void vj_compare_maps(char here[VJ_MAPS_TEXT], char then[VJ_MAPS_TEXT],
                     const struct vj_engine *engine, const struct vj_weights *weights);

#endif
