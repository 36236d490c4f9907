/* SPDX-License-Identifier: MIT */
/*
 * Jiang, Liu, Wang, Shao and Lin, "Toward top-down just noticeable difference estimation of natural
 * images", IEEE Trans. Image Process. 31, 2022: the picture is rebuilt from as many of its own
 * Karhunen-Loeve components of 8x8 blocks as people need not to see a difference, and what is
 * missing in the rebuilt picture is the threshold: taken back near edges (`authors`) or as it is
 * (`raw`).
 *
 * Everything from the covariance to the rebuilt picture is in double: sums over blocks are exact
 * integers, the decomposition is Jacobi's with a fixed order, and eigenvectors enter as the
 * projection on the space that the first of them span, which knows no signs. The map is unstable
 * where the last component that is kept and the first that is dropped have nearly the same variance
 * (pictures made of few patterns): either may then be the one that is kept.
 *
 * Only whole blocks take part. The rest, up to 7 rows below and columns on the right, mirrors them,
 * in stages too.
 */
#include "host/jnd_klt22.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "host/checked.h"
#include "host/eigen.h"
#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/simd.h"

enum {
    SIDE = VJ_KLT_SIDE,
    AREA = VJ_KLT_AREA,
    RUN = 4096, /* blocks whose products are summed in 32 bits: 4096 * 255^2 < 2^31 */
};

/* Weibull distribution of the share of energy at which people see no difference. */
#define WEIBULL_SHAPE 894.16
#define WEIBULL_SCALE 0.99805

enum { AUTHORS, RAW };
enum {
    STAGE_VARIANCE,
    STAGE_SHARE,
    STAGE_COMPONENTS,
    STAGE_CRITICAL,
    STAGE_PSNR,
    STAGE_EDGE,
    STAGE_WEIGHT,
};

#define AUTHORS_ONLY (1u << RAW)

static const char *const variants[] = {"authors", "raw", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"variance", "variances of the components of 8x8 blocks, descending", NULL, VJ_JND_LIST64, 0},
    {"share", "share of the energy in the components up to each", NULL, VJ_JND_LIST64, 0},
    {"components", "number of components in the critical picture", NULL, VJ_JND_ONE, 0},
    {"critical", "picture rebuilt from these components, neither rounded nor clipped", "grey level",
     VJ_JND_PLANE, 0},
    {"psnr", "PSNR of the critical picture: the model's rule for a whole picture", "dB", VJ_JND_ONE,
     0},
    {"edge", "Canny edges, 1 on an edge", NULL, VJ_JND_PLANE, AUTHORS_ONLY},
    {"weight", "edge weight", NULL, VJ_JND_PLANE, AUTHORS_ONLY},
    {0},
};

struct klt {
    const struct vj_jnd_job *job;
    size_t width, height; /* of whole blocks */
    size_t across, down;  /* blocks */
    uint8_t *luma;        /* height x width */
    struct vj_jnd_padded plane;
    struct vj_canny canny;
    uint8_t *edge, *dilated;
    struct vj_klt_moments *moments; /* per thread; the first one ends up with the total */
    double *error;                  /* per row of blocks: squared error of the critical picture */
    float *critical;                /* height x width */
    struct vj_jnd_gaussian gaussian;
    struct vj_klt_components components;
};

static void take(struct klt *t, struct vj_jnd_arena *arena, size_t width, size_t height,
                 int threads)
{
    t->across = width / SIDE;
    t->down = height / SIDE;
    t->width = t->across * SIDE;
    t->height = t->down * SIDE;
    t->luma = vj_jnd_take(arena, t->height, t->width);
    t->plane = vj_jnd_take_padded(arena, t->width, t->height, VJ_CANNY_RADIUS);
    t->canny = vj_canny_take(arena, t->width, t->height, threads);
    t->edge = vj_jnd_take(arena, t->height, t->width);
    t->dilated = vj_jnd_take(arena, t->height, t->width);
    t->moments = vj_jnd_take(arena, (size_t)threads, sizeof(*t->moments));
    t->error = vj_jnd_take(arena, t->down, sizeof(*t->error));
    t->critical = vj_jnd_take(arena, t->height, t->width * sizeof(*t->critical));
}

static size_t workspace(size_t width, size_t height, int threads)
{
    struct vj_jnd_arena count = {0};
    struct klt t;
    take(&t, &count, width, height, threads);
    return vj_jnd_taken(&count);
}

/* --- components ------------------------------------------------------------------------------- */

static void load_block(const struct klt *t, size_t row, size_t column, int32_t block[AREA])
{
    const uint8_t *corner = t->luma + row * SIDE * t->width + column * SIDE;
    for (size_t k = 0; k < AREA; k++)
        block[k] = corner[k % SIDE * t->width + k / SIDE];
}

VJ_SIMD static void add_products(const int32_t block[AREA], int32_t first[AREA],
                                 int32_t second[AREA][AREA])
{
    for (size_t j = 0; j < AREA; j++) {
        int32_t factor = block[j];
        first[j] += factor;
        for (size_t i = 0; i < AREA; i++)
            second[j][i] += factor * block[i];
    }
}

/* Adds the blocks first..end-1 of a row, at most RUN of them. */
static void add_run(const struct klt *t, size_t row, size_t first, size_t end,
                    struct vj_klt_moments *sum)
{
    int32_t block[AREA], single[AREA] = {0}, product[AREA][AREA] = {{0}};
    for (size_t column = first; column < end; column++) {
        load_block(t, row, column, block);
        add_products(block, single, product);
    }
    for (size_t j = 0; j < AREA; j++) {
        sum->first[j] += single[j];
        for (size_t i = 0; i < AREA; i++)
            sum->second[j][i] += product[j][i];
    }
}

static void add_moments(struct vj_klt_moments *sum, const struct vj_klt_moments *more)
{
    for (size_t j = 0; j < AREA; j++) {
        sum->first[j] += more->first[j];
        for (size_t i = 0; i < AREA; i++)
            sum->second[j][i] += more->second[j][i];
    }
}

/* Sums over all blocks, into moments[0]. */
static void sum_blocks(const struct klt *t, int threads)
{
    memset(t->moments, 0, (size_t)threads * sizeof(*t->moments));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t row = 0; row < t->down; row++)
        for (size_t first = 0; first < t->across; first += RUN) {
            size_t end = t->across - first < RUN ? t->across : first + RUN;
            add_run(t, row, first, end, &t->moments[omp_get_thread_num()]);
        }
    for (int k = 1; k < threads; k++)
        add_moments(&t->moments[0], &t->moments[k]);
    t->moments[0].blocks = (int64_t)(t->across * t->down);
}

/*
 * Covariance of blocks from their sums. The means are taken off in two steps, the nearest whole
 * number exactly and what is left of it in double, where it is too small to cancel anything.
 */
static void covariance(const struct vj_klt_moments *m, double a[AREA][AREA])
{
    const int64_t n = m->blocks;
    int64_t whole[AREA], rest[AREA];
    for (size_t j = 0; j < AREA; j++) {
        whole[j] = (2 * m->first[j] + n) / (2 * n);
        rest[j] = m->first[j] - n * whole[j];
    }
    for (size_t j = 0; j < AREA; j++) {
        for (size_t i = 0; i < AREA; i++) {
            int64_t centred = m->second[j][i] - whole[j] * m->first[i] - whole[i] * m->first[j] +
                              n * whole[j] * whole[i];
            double left = (double)rest[j] * (double)rest[i] / (double)n;
            a[j][i] = ((double)centred - left) / (double)n;
        }
    }
}

/*
 * Shares of the components' energy, which is the mean square of the coefficients of the blocks as
 * they are: the variance and the square of the mean block's coefficient. A black picture, which has
 * no energy, counts as complete with any component.
 */
static void energy_shares(struct vj_klt_components *c, const struct vj_klt_moments *m)
{
    double sum = 0, n = (double)m->blocks;
    for (size_t k = 0; k < AREA; k++) {
        double mean = 0, variance = c->value[k] > 0 ? c->value[k] : 0;
        for (size_t j = 0; j < AREA; j++)
            mean += c->vector[k][j] * ((double)m->first[j] / n);
        sum += variance + mean * mean;
        c->share[k] = sum;
    }
    for (size_t k = 0; k < AREA; k++)
        c->share[k] = sum > 0 ? c->share[k] / sum : 1;
    c->share[AREA - 1] = 1;
}

/* Number of components: their mean number under the Weibull density of the energy share, up. */
static size_t count_components(const double share[AREA])
{
    double sum = 0, weighted = 0;
    for (size_t k = 0; k < AREA; k++) {
        double ratio = share[k] / WEIBULL_SCALE;
        double density = WEIBULL_SHAPE / WEIBULL_SCALE * pow(ratio, WEIBULL_SHAPE - 1) *
                         exp(-pow(ratio, WEIBULL_SHAPE));
        sum += density;
        weighted += (double)(k + 1) * density;
    }
    return (size_t)ceil(weighted / sum);
}

/* Of the space that the first components span. */
static void make_projection(struct vj_klt_components *c)
{
    memset(c->projection, 0, sizeof(c->projection));
    for (size_t k = 0; k < c->count; k++)
        for (size_t j = 0; j < AREA; j++)
            for (size_t i = 0; i < AREA; i++)
                c->projection[j][i] += c->vector[k][j] * c->vector[k][i];
}

void vj_klt_components(const struct vj_klt_moments *moments, struct vj_klt_components *components)
{
    double a[AREA][AREA];
    covariance(moments, a);
    vj_eigen_symmetric(AREA, a[0], components->value, components->vector[0]);
    energy_shares(components, moments);
    components->count = count_components(components->share);
    make_projection(components);
}

/* --- critical picture ------------------------------------------------------------------------- */

/* The projection is symmetric: its rows are its columns. */
VJ_SIMD static void project(const double projection[AREA][AREA], const int32_t block[AREA],
                            double out[AREA])
{
    double sum[AREA] = {0};
    for (size_t j = 0; j < AREA; j++) {
        double factor = block[j];
        for (size_t i = 0; i < AREA; i++)
            sum[i] += factor * projection[j][i];
    }
    memcpy(out, sum, sizeof(sum));
}

/* Rebuilds one row of blocks and returns its squared error. */
static double rebuild_row(const struct klt *t, size_t row)
{
    double error = 0;
    for (size_t column = 0; column < t->across; column++) {
        float *corner = t->critical + row * SIDE * t->width + column * SIDE;
        int32_t block[AREA];
        double rebuilt[AREA];
        load_block(t, row, column, block);
        project(t->components.projection, block, rebuilt);
        for (size_t k = 0; k < AREA; k++) {
            double settled = vj_klt_settle(block[k], rebuilt[k]);
            double off = block[k] - settled;
            error += off * off;
            corner[k % SIDE * t->width + k / SIDE] = (float)settled;
        }
    }
    return error;
}

/* PSNR for a peak of 255, infinite where nothing is missing. */
static double psnr(const struct klt *t)
{
    double error = 0;
    for (size_t row = 0; row < t->down; row++)
        error += t->error[row];
    return 10 * log10(255.0 * 255.0 * (double)t->width * (double)t->height / error);
}

/* --- map -------------------------------------------------------------------------------------- */

VJ_SIMD static void differences(const uint8_t *luma, const float *critical, const float *weight,
                                size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = fabsf((float)luma[i] - critical[i]) * weight[i];
}

static void map_row(const struct klt *t, size_t y)
{
    for (size_t x = 0; x < t->width; x += VJ_JND_SPAN) {
        size_t n = t->width - x < VJ_JND_SPAN ? t->width - x : VJ_JND_SPAN, p = y * t->width + x;
        float weight[VJ_JND_SPAN], edge[VJ_JND_SPAN];
        if (t->job->variant == RAW) {
            for (size_t i = 0; i < n; i++)
                weight[i] = 1.0f;
        } else {
            vj_jnd_smooth(t->dilated, t->width, t->height, y, x, n, &t->gaussian,
                          -vj_jnd_weight_epc.attenuation, 1.0f, weight);
            for (size_t i = 0; i < n; i++)
                edge[i] = t->edge[p + i];
            vj_jnd_stage(t->job, STAGE_EDGE, y, x, edge, n);
            vj_jnd_stage(t->job, STAGE_WEIGHT, y, x, weight, n);
        }
        differences(t->luma + p, t->critical + p, weight, n, t->job->map + y * t->job->width + x);
        vj_jnd_stage(t->job, STAGE_CRITICAL, y, x, t->critical + p, n);
    }
}

static void find_edges(struct klt *t, int threads)
{
    vj_jnd_pad(&t->plane, t->luma, VJ_JND_REPLICATE, threads);
    unsigned gradient = vj_jnd_inner_gradient(&t->plane, threads);
    vj_canny(&t->plane, vj_jnd_edge_threshold(gradient), &t->canny, t->edge, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < t->height; y++)
        vj_jnd_dilate(t->edge, t->width, t->height, y, vj_jnd_weight_epc.shape,
                      t->dilated + y * t->width);
}

/* Fills what lies beyond the whole blocks, mirrored with the edge pixel repeated. */
static void extend(const struct klt *t, float *plane)
{
    size_t width = t->job->width, height = t->job->height;
    for (size_t y = 0; y < height; y++) {
        float *row = plane + y * width;
        if (y >= t->height)
            memcpy(row, plane + (2 * t->height - 1 - y) * width, width * sizeof(*row));
        for (size_t x = t->width; x < width; x++)
            row[x] = row[2 * t->width - 1 - x];
    }
}

static void finish_stages(const struct klt *t)
{
    static const int planes[] = {STAGE_CRITICAL, STAGE_EDGE, STAGE_WEIGHT};
    const struct vj_jnd_job *job = t->job;
    for (size_t k = 0; k < sizeof(planes) / sizeof(planes[0]); k++)
        if (vj_jnd_wants(job, (size_t)planes[k]))
            extend(t, job->stages[planes[k]]);
    for (size_t k = 0; k < AREA; k++) {
        if (vj_jnd_wants(job, STAGE_VARIANCE))
            job->stages[STAGE_VARIANCE][k] = (float)t->components.value[k];
        if (vj_jnd_wants(job, STAGE_SHARE))
            job->stages[STAGE_SHARE][k] = (float)t->components.share[k];
    }
    if (vj_jnd_wants(job, STAGE_COMPONENTS))
        job->stages[STAGE_COMPONENTS][0] = (float)t->components.count;
    if (vj_jnd_wants(job, STAGE_PSNR))
        job->stages[STAGE_PSNR][0] = (float)psnr(t);
}

int vj_klt_check(size_t width, size_t height, struct vj_error *err)
{
    const size_t blocks = (width / SIDE) * (height / SIDE);
    if (blocks < VJ_KLT_MIN_BLOCKS)
        return vj_fail(err, -EINVAL,
                       "picture of %zux%zu pixels: pixel-JND model klt22 needs at least %d whole "
                       "blocks of %dx%d pixels, these are %zu; take a larger picture or another "
                       "model",
                       width, height, VJ_KLT_MIN_BLOCKS, SIDE, SIDE, blocks);
    return 0;
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    int threads = ws->threads;
    struct klt t = {.job = job};
    int rc = vj_klt_check(job->width, job->height, err);
    if (rc)
        return rc;
    take(&t, &ws->arena, job->width, job->height, threads);
    t.gaussian = vj_jnd_gaussian(vj_jnd_weight_epc.gaussian_size, vj_jnd_weight_epc.gaussian_sigma);
    for (size_t y = 0; y < t.height; y++)
        memcpy(t.luma + y * t.width, job->luma + y * job->width, t.width);
    sum_blocks(&t, threads);
    vj_klt_components(&t.moments[0], &t.components);
    if (job->variant == AUTHORS)
        find_edges(&t, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t row = 0; row < t.down; row++) {
        t.error[row] = rebuild_row(&t, row);
        for (size_t y = row * SIDE; y < (row + 1) * SIDE; y++)
            map_row(&t, y);
    }
    extend(&t, job->map);
    finish_stages(&t);
    return 0;
}

const struct vj_jnd_model vj_jnd_klt22 = {
    .name = "klt22",
    .reference = "Jiang, Liu, Wang, Shao, Lin: Toward top-down just noticeable difference "
                 "estimation of natural images. IEEE TIP 31, 2022",
    .variants = variants,
    .stages = stages,
    .min_side = SIDE,
    .workspace = workspace,
    .compute = compute,
};
