/* SPDX-License-Identifier: MIT */
/* Minimum cuts of grids, and the total variation minimiser of liu10 that is made of them. */
#include "tests/vj_test.h"

#include "host/jnd_blocks.h"
#include "host/maxflow.h"
#include "host/rng.h"
#include "tests/host/jnd_run.h"

static uint32_t random_below(uint64_t stream, size_t index, uint32_t limit)
{
    return vj_random4(7, VJ_RNG_TEST, stream, (uint32_t)index).v[0] % limit;
}

/* Offsets of the four directions. */
static const int down[VJ_FLOW_ARCS] = {0, 0, 1, -1}, right[VJ_FLOW_ARCS] = {1, -1, 0, 0};

static bool has_neighbour(const struct vj_flow_grid *g, size_t p, int d)
{
    ptrdiff_t y = (ptrdiff_t)(p / g->width) + down[d], x = (ptrdiff_t)(p % g->width) + right[d];
    return y >= 0 && x >= 0 && y < (ptrdiff_t)g->height && x < (ptrdiff_t)g->width;
}

static size_t neighbour_of(const struct vj_flow_grid *g, size_t p, int d)
{
    return (size_t)((ptrdiff_t)p + down[d] * (ptrdiff_t)g->width + right[d]);
}

/* Pixel number p of a grid, in reading order. */
static struct vj_flow_node *at(const struct vj_flow_grid *g, size_t p)
{
    return vj_flow_node(g, p / g->width, p % g->width);
}

/* Capacities up to `arc` and up to +-terminal; other streams, other grids. */
static struct vj_flow_grid random_grid(size_t width, size_t height, uint32_t arc, uint32_t terminal,
                                       uint64_t stream)
{
    struct vj_flow_grid g = {.width = width, .height = height};
    size_t nodes = vj_flow_node_count(width, height);
    g.node = take(nodes, sizeof(*g.node));
    memset(g.node, 0xA5, nodes * sizeof(*g.node));
    for (size_t p = 0; p < width * height; p++) {
        at(&g, p)->terminal =
            (int16_t)((int)random_below(stream, 5 * p, 2 * terminal + 1) - (int)terminal);
        for (int d = 0; d < VJ_FLOW_ARCS; d++)
            at(&g, p)->arc[d] = (uint8_t)(has_neighbour(&g, p, d)
                                              ? random_below(stream, 5 * p + 1 + (size_t)d, arc + 1)
                                              : 0);
    }
    return g;
}

static struct vj_flow_grid copy_of(const struct vj_flow_grid *g)
{
    struct vj_flow_grid c = *g;
    size_t bytes = vj_flow_node_count(g->width, g->height) * sizeof(*g->node);
    c.node = take(bytes, 1);
    memcpy(c.node, g->node, bytes);
    return c;
}

/* Capacity of the arcs from the pixels of `above` to the others, terminals included. */
static int64_t cut_capacity(const struct vj_flow_grid *g, const bool *above)
{
    int64_t sum = 0;
    for (size_t p = 0; p < g->width * g->height; p++) {
        const struct vj_flow_node *n = at(g, p);
        if (above[p] != (n->terminal > 0))
            sum += n->terminal < 0 ? -n->terminal : n->terminal;
        for (int d = 0; above[p] && d < VJ_FLOW_ARCS; d++)
            if (has_neighbour(g, p, d) && !above[neighbour_of(g, p, d)])
                sum += n->arc[d];
    }
    return sum;
}

static void small_cuts_are_the_largest_of_all_minimum_cuts(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {2, 1}, {1, 5}, {3, 3}, {4, 3}, {2, 5}};
    for (uint64_t trial = 0; trial < 300; trial++) {
        size_t width = sizes[trial % 6][0], height = sizes[trial % 6][1], n = width * height;
        struct vj_flow_grid g =
            random_grid(width, height, 1 + trial % 7, 1 + (uint32_t)(trial / 7 % 9), trial);
        int64_t least = INT64_MAX;
        uint32_t largest = 0; /* union of the minimum cuts: one of them, as they form a lattice */
        for (uint32_t set = 0; set < 1u << n; set++) {
            bool above[12];
            for (size_t p = 0; p < n; p++)
                above[p] = set >> p & 1;
            int64_t capacity = cut_capacity(&g, above);
            if (capacity < least)
                largest = 0;
            if (capacity <= least)
                largest |= set;
            least = capacity < least ? capacity : least;
        }
        vj_flow_maximise(&g, 1 + (int)(trial % 3));
        for (size_t p = 0; p < n; p++)
            if (vj_flow_reaches_sink(at(&g, p)) == (largest >> p & 1))
                fail_msg("trial %zu: pixel %zu is on the wrong side", (size_t)trial, p);
        free(g.node);
    }
}

/* What flows into a pixel less what flows out of it: 0 when the flow is one. */
static int64_t surplus(const struct vj_flow_grid *before, const struct vj_flow_grid *after,
                       size_t p)
{
    int64_t sum = at(before, p)->terminal - at(after, p)->terminal;
    for (int d = 0; d < VJ_FLOW_ARCS; d++) {
        int sent = at(before, p)->arc[d] - at(after, p)->arc[d];
        sum -= sent;
        if (!has_neighbour(before, p, d)) {
            assert_int_equal(sent, 0);
            continue;
        }
        size_t q = neighbour_of(before, p, d);
        assert_int_equal(sent, at(after, q)->arc[d ^ 1] - at(before, q)->arc[d ^ 1]);
    }
    return sum;
}

/* Marks what can reach the sink over capacity that is left, by going back from it. */
static void reach_back(const struct vj_flow_grid *g, bool *reaches)
{
    size_t n = g->width * g->height, waiting = 0;
    size_t *stack = take(n, sizeof(*stack));
    for (size_t p = 0; p < n; p++) {
        reaches[p] = at(g, p)->terminal < 0;
        if (reaches[p])
            stack[waiting++] = p;
    }
    while (waiting) {
        size_t p = stack[--waiting];
        for (int d = 0; d < VJ_FLOW_ARCS; d++) {
            if (!has_neighbour(g, p, d))
                continue;
            size_t q = neighbour_of(g, p, d);
            if (!reaches[q] && at(g, q)->arc[d ^ 1] > 0) {
                reaches[q] = true;
                stack[waiting++] = q;
            }
        }
    }
    free(stack);
}

/*
 * The certificate of a maximum flow: it is conserved in every pixel, and as large as the capacity
 * of a cut. Then that the answer is right for it.
 */
static void check_large(const struct vj_flow_grid *before, const struct vj_flow_grid *after)
{
    size_t n = before->width * before->height;
    bool *reaches = take(n, sizeof(*reaches)), *above = take(n, sizeof(*above));
    int64_t flow = 0;
    for (size_t p = 0; p < n; p++) {
        int was = at(before, p)->terminal, is = at(after, p)->terminal;
        assert_int_equal(surplus(before, after, p), 0);
        assert_true(was > 0 ? is >= 0 && is <= was : is <= 0 && is >= was);
        flow += was > 0 ? was - is : 0;
    }
    reach_back(after, reaches);
    for (size_t p = 0; p < n; p++) {
        assert_int_equal(vj_flow_reaches_sink(at(after, p)), reaches[p]);
        above[p] = !reaches[p];
    }
    assert_int_equal(cut_capacity(before, above), flow);
    free(reaches);
    free(above);
}

static void
large_flows_are_conserved_maximal_and_the_same_cut_on_any_number_of_threads(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        uint32_t arc, terminal;
    } cases[] = {
        {97, 61, 10, 4}, {61, 97, 3, 20}, {40, 50, 100, 3}, {200, 3, 5, 9}, {3, 150, 5, 9}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        size_t width = cases[c].width, height = cases[c].height;
        struct vj_flow_grid g =
            random_grid(width, height, cases[c].arc, cases[c].terminal, 1000 + c);
        for (size_t y = 0; y < height; y++) /* sources above, sinks below: long ways */
            for (size_t x = 0; x < width; x++)
                vj_flow_node(&g, y, x)->terminal = (int16_t)(vj_flow_node(&g, y, x)->terminal +
                                                             (y < 3) * 40 - (y + 3 > height) * 40);
        struct vj_flow_grid first = copy_of(&g);
        vj_flow_maximise(&first, 1);
        check_large(&g, &first);
        for (int threads = 2; threads <= 7; threads++) {
            struct vj_flow_grid other = copy_of(&g);
            vj_flow_maximise(&other, threads);
            check_large(&g, &other);
            for (size_t p = 0; p < width * height; p++)
                assert_int_equal(vj_flow_reaches_sink(at(&first, p)),
                                 vj_flow_reaches_sink(at(&other, p)));
            free(other.node);
        }
        free(first.node);
        free(g.node);
    }
}

static void a_grid_of_too_many_nodes_is_refused(void **state)
{
    (void)state;
    assert_int_equal(vj_flow_node_count(3, 4), 30);
    assert_int_equal(vj_flow_node_count(65533, 65533), 65535u * 65535u);
    assert_int_equal(vj_flow_node_count(65534, 65534), 0);
    assert_int_equal(vj_flow_node_count(SIZE_MAX, 1), 0);
    assert_int_equal(vj_flow_node_count(1, SIZE_MAX), 0);
    assert_int_equal(vj_flow_node_count(SIZE_MAX / 2, SIZE_MAX / 2), 0);
}

/* --- total variation -------------------------------------------------------------------------- */

/* Structure of liu10. */
static void structure_of(const uint8_t *luma, size_t width, size_t height, int threads,
                         float *structure)
{
    float *map = take(width * height, sizeof(*map));
    float *stages[7] = {structure};
    assert_string_equal(vj_jnd_liu10.stages[0].name, "structure");
    assert_null(vj_jnd_liu10.stages[7].name);
    run(&vj_jnd_liu10, 0, luma, width, height, threads, map, stages);
    free(map);
}

/* The energy times 5. */
static int energy(const uint8_t *f, const uint8_t *u, size_t width, size_t height)
{
    int sum = 0;
    for (size_t p = 0; p < width * height; p++) {
        sum += 4 * abs(f[p] - u[p]);
        sum += p % width + 1 < width ? 5 * abs(u[p] - u[p + 1]) : 0;
        sum += p / width + 1 < height ? 5 * abs(u[p] - u[p + width]) : 0;
    }
    return sum;
}

static void the_structure_of_tiny_pictures_is_their_largest_minimiser(void **state)
{
    (void)state;
    enum { LEVELS = 4, MOST = 8 };
    static const size_t sizes[][2] = {{2, 4}, {4, 2}, {3, 2}, {8, 1}, {1, 7}, {1, 1}};
    for (uint64_t trial = 0; trial < 60; trial++) {
        size_t width = sizes[trial % 6][0], height = sizes[trial % 6][1], n = width * height;
        uint8_t f[MOST], u[MOST], largest[MOST] = {0};
        float structure[MOST];
        int least = INT32_MAX;
        for (size_t p = 0; p < n; p++)
            f[p] = (uint8_t)random_below(2000 + trial, p, LEVELS);
        for (uint32_t all = 0; all < 1u << (2 * n); all++) {
            for (size_t p = 0; p < n; p++)
                u[p] = (uint8_t)(all >> (2 * p) & 3);
            int e = energy(f, u, width, height);
            if (e < least)
                memset(largest, 0, n);
            for (size_t p = 0; e <= least && p < n; p++)
                largest[p] = u[p] > largest[p] ? u[p] : largest[p];
            least = e < least ? e : least;
        }
        structure_of(f, width, height, 1 + (int)(trial % 2), structure);
        for (size_t p = 0; p < n; p++)
            assert_float_equal(structure[p], largest[p], 0);
    }
}

static void structure_keeps_large_shapes_and_drops_small_ones(void **state)
{
    (void)state;
    /* A square of side s and height h costs 4 s h as an edge, 0.8 s s h as texture. */
    enum { SIDE = 40 };
    uint8_t f[SIDE * SIDE];
    float structure[SIDE * SIDE];
    for (size_t side = 4; side <= 6; side++) {
        for (size_t p = 0; p < SIDE * SIDE; p++) {
            size_t y = p / SIDE - 10, x = p % SIDE - 10;
            f[p] = y < side && x < side ? 180 : 70;
        }
        structure_of(f, SIDE, SIDE, 2, structure);
        for (size_t p = 0; p < SIDE * SIDE; p++)
            assert_float_equal(structure[p], side < 5 ? 70 : f[p], 0); /* 5: a tie, the larger u */
    }
}

static void flat_and_extreme_pictures_are_their_own_structure(void **state)
{
    (void)state;
    enum { WIDTH = 20, HEIGHT = 12 };
    uint8_t f[WIDTH * HEIGHT];
    float structure[WIDTH * HEIGHT];
    for (int value = 0; value < 256; value += 85) {
        memset(f, value, sizeof(f));
        structure_of(f, WIDTH, HEIGHT, 3, structure);
        for (size_t p = 0; p < WIDTH * HEIGHT; p++)
            assert_float_equal(structure[p], value, 0);
    }
    for (size_t p = 0; p < WIDTH * HEIGHT; p++)
        f[p] = p % WIDTH < 10 ? 0 : 255;
    structure_of(f, WIDTH, HEIGHT, 3, structure);
    for (size_t p = 0; p < WIDTH * HEIGHT; p++)
        assert_float_equal(structure[p], f[p], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_cuts_are_the_largest_of_all_minimum_cuts),
        cmocka_unit_test(
            large_flows_are_conserved_maximal_and_the_same_cut_on_any_number_of_threads),
        cmocka_unit_test(a_grid_of_too_many_nodes_is_refused),
        cmocka_unit_test(the_structure_of_tiny_pictures_is_their_largest_minimiser),
        cmocka_unit_test(structure_keeps_large_shapes_and_drops_small_ones),
        cmocka_unit_test(flat_and_extreme_pictures_are_their_own_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
