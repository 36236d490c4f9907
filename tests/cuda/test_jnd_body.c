/* SPDX-License-Identifier: MIT */
/*
 * What no test of whole kernels can show without a device: threads that join the pixels of an edge
 * while others move the labels. On the emulation of a GPU (emulate_threads.h) a thread is done with
 * its pixel before the next one looks. All else about maps is in test_jnd_gpu.c.
 */
#include "tests/vj_test.h"

#include "cuda/jnd_canny_body.h"
#include "host/rng.h"

enum { WIDTH = 60, HEIGHT = 40, PIXELS = WIDTH * HEIGHT };

/* One of many threads that join pixels: between looking and hanging, others get their turns. */
struct joiner {
    struct vj_cuda_union u;
    bool looked;
};

/* Number k of the four neighbours that come before a pixel. */
static size_t neighbour(size_t p, size_t k)
{
    const size_t before[4] = {p - 1, p - WIDTH - 1, p - WIDTH, p - WIDTH + 1};
    return before[k];
}

/*
 * Joins neighbours of a field of 0s and 1s, the frame of which is 0, by threads whose steps are
 * interleaved by chance. Returns how often a thread found that another one had been first.
 */
static size_t join_interleaved(const uint8_t *weak, uint32_t *label, uint64_t seed)
{
    enum { JOINERS = 64 };
    struct joiner joiner[JOINERS];
    size_t active = 0, late = 0, next = 4 * WIDTH;
    const size_t end = 4 * (PIXELS - WIDTH);
    for (uint32_t turn = 0; active > 0 || next < end; turn++) {
        for (; active < JOINERS && next < end; next++) {
            const size_t p = next / 4, q = neighbour(p, next % 4);
            if (weak[p] && weak[q])
                joiner[active++] = (struct joiner){{(uint32_t)p, (uint32_t)q}, false};
        }
        if (active == 0)
            break;
        uint32_t word = vj_random4(seed, VJ_RNG_TEST, turn >> 24, turn & 0xFFFFFF).v[0];
        struct joiner *j = &joiner[vj_random_below(word, (uint32_t)active)];
        bool done;
        if (j->looked) {
            done = vj_cuda_union_hang(label, &j->u);
            late += !done;
        } else {
            done = !vj_cuda_union_look(label, &j->u);
        }
        j->looked = !j->looked;
        if (done)
            *j = joiner[--active];
    }
    return late;
}

/* The smallest pixel of each one's component, by spreading it until nothing changes. */
static void spread(const uint8_t *weak, uint32_t *smallest)
{
    for (uint32_t p = 0; p < PIXELS; p++)
        smallest[p] = p;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 4 * WIDTH; i < 4 * (PIXELS - WIDTH); i++) {
            const size_t p = i / 4, q = neighbour(p, i % 4);
            if (!weak[p] || !weak[q] || smallest[p] == smallest[q])
                continue;
            const uint32_t low = smallest[p] < smallest[q] ? smallest[p] : smallest[q];
            smallest[p] = smallest[q] = low;
            again = true;
        }
    }
}

static void edges_join_while_other_threads_move_the_labels(void **state)
{
    (void)state;
    uint8_t weak[PIXELS];
    uint32_t label[PIXELS], expected[PIXELS];
    size_t late = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        for (uint32_t p = 0; p < PIXELS; p++) {
            uint32_t y = p / WIDTH, x = p % WIDTH;
            bool frame = y == 0 || x == 0 || y == HEIGHT - 1 || x == WIDTH - 1;
            uint32_t word = vj_random4(seed, VJ_RNG_TEST, 7, p).v[0];
            weak[p] = !frame && word % 100 < 30 + seed;
            label[p] = p;
        }
        late += join_interleaved(weak, label, seed);
        spread(weak, expected);
        for (uint32_t p = 0; p < PIXELS; p++)
            assert_int_equal(vj_cuda_find(label, p), expected[p]);
    }
    assert_true(late > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_join_while_other_threads_move_the_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
