/* SPDX-License-Identifier: MIT */
#include "eval/plot.h"

#include <math.h>

struct vj_axis vj_axis_covering(double low, double high, int ticks)
{
    if (!isfinite(low) || !isfinite(high) || low > high) {
        low = 0;
        high = 1;
    }
    if (!(high - low > 1e-9 * fmax(fabs(low), fabs(high)))) {
        low -= 0.5 * fmax(fabs(low), 1e-6);
        high += 0.5 * fmax(fabs(high), 1e-6);
    }
    static const double leading[] = {1, 2, 5};
    double power = pow(10, floor(log10((high - low) / ticks)) - 1);
    for (;; power *= 10) {
        for (size_t i = 0; i < sizeof(leading) / sizeof(leading[0]); i++) {
            struct vj_axis axis = {.step = leading[i] * power};
            axis.low = floor(low / axis.step + 1e-9) * axis.step;
            axis.high = ceil(high / axis.step - 1e-9) * axis.step;
            axis.decimals = (int)fmax(0, -floor(log10(axis.step) + 1e-9));
            if ((axis.high - axis.low) / axis.step < ticks + 0.5)
                return axis;
        }
    }
}

double vj_plot_x(const struct vj_plot *plot, double value)
{
    return plot->left + plot->width * (value - plot->x.low) / (plot->x.high - plot->x.low);
}

double vj_plot_y(const struct vj_plot *plot, double value)
{
    return plot->top + plot->height * (plot->y.high - value) / (plot->y.high - plot->y.low);
}

void vj_axis_number(struct vj_text *out, const struct vj_axis *axis, double value)
{
    if (fabs(value) < 0.5 * axis->step * 1e-3)
        value = 0; /* no "-0" */
    vj_text_add(out, "%.*f", axis->decimals, value);
}

static int steps_of(const struct vj_axis *axis)
{
    return (int)((axis->high - axis->low) / axis->step + 0.5);
}

static void line(struct vj_text *out, double x1, double y1, double x2, double y2)
{
    vj_text_add(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x1, y1, x2, y2);
}

void vj_plot_axes(struct vj_text *out, const struct vj_plot *plot, const char *x_title,
                  const char *y_title)
{
    const double right = plot->left + plot->width, bottom = plot->top + plot->height;
    vj_text_add(out, "<g class=\"axis\">");
    for (int i = 0; i <= steps_of(&plot->x); i++) {
        const double value = plot->x.low + i * plot->x.step, x = vj_plot_x(plot, value);
        line(out, x, plot->top, x, bottom);
        vj_text_add(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x, bottom + 16);
        vj_axis_number(out, &plot->x, value);
        vj_text_add(out, "</text>");
    }
    for (int i = 0; i <= steps_of(&plot->y); i++) {
        const double value = plot->y.low + i * plot->y.step, y = vj_plot_y(plot, value);
        line(out, plot->left, y, right, y);
        vj_text_add(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", plot->left - 6, y + 4);
        vj_axis_number(out, &plot->y, value);
        vj_text_add(out, "</text>");
    }
    if (x_title) {
        vj_text_add(out, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                    plot->left + plot->width / 2, bottom + 34);
        vj_text_html(out, x_title);
        vj_text_add(out, "</text>");
    }
    if (y_title) {
        vj_text_add(out, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\">", fmax(plot->left - 36, 2),
                    plot->top - 8);
        vj_text_html(out, y_title);
        vj_text_add(out, "</text>");
    }
    vj_text_add(out, "</g>\n");
}
