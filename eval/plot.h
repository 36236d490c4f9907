/* SPDX-License-Identifier: MIT */
/*
 * Inside eval/: axes of SVG charts. A plot is a rectangle of an SVG drawing, in its units (CSS
 * pixels), onto which two axes with round numbers map values. Marks carry CSS classes, the page's
 * style sheet gives them colours.
 */
#ifndef VJ_EVAL_PLOT_H
#define VJ_EVAL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/text.h"

/* Round ticks low, low + step, ..., high. */
struct vj_axis {
    double low, high, step;
    int decimals; /* that tell the ticks apart */
};

/*
 * The smallest axis with a step of 1, 2 or 5 times a power of ten that covers low..high in at most
 * `ticks` steps. Values that are not finite or not in order give 0..1.
 */
struct vj_axis vj_axis_covering(double low, double high, int ticks);

struct vj_plot {
    double left, top, width, height;
    struct vj_axis x, y;
};

/* Where a value stands in the drawing; y grows upwards. */
double vj_plot_x(const struct vj_plot *plot, double value);
double vj_plot_y(const struct vj_plot *plot, double value);

/*
 * Appends grid lines, ticks' numbers and the axes' titles, all in the class "axis".
 * x_title, y_title: plain text, escaped here; NULL = none
 */
void vj_plot_axes(struct vj_text *out, const struct vj_plot *plot, const char *x_title,
                  const char *y_title);

/* A tick's number. */
void vj_axis_number(struct vj_text *out, const struct vj_axis *axis, double value);

#endif
