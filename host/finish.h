/* SPDX-License-Identifier: MIT */
/*
 * What is done once every image has been evaluated: thresholds are fitted, answers become
 * predictions, predictions become metrics, and all of it goes into the results file. It reads
 * nothing but that file, so a resumed run ends like an unbroken one.
 */
#ifndef VJ_HOST_FINISH_H
#define VJ_HOST_FINISH_H

#include "host/engine.h"
#include "host/error.h"
#include "host/results.h"

/* Fills lossy and qf_pred of every predictor, and the attributes that say how they came about. */
int vj_finish_predictions(struct vj_engine *engine, struct vj_results *results,
                          struct vj_error *err);

/* Fills /metrics from the columns. */
int vj_finish_metrics(const struct vj_engine *engine, struct vj_results *results,
                      struct vj_error *err);

#endif
