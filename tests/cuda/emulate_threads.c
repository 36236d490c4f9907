/* SPDX-License-Identifier: MIT */
#include "tests/cuda/emulate_threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "cuda/net_body.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
enum { STACK = 256 << 10 };
#else
enum { STACK = 128 << 10 };
#endif
#ifdef VJ_EMULATE_RACES
#include <sanitizer/tsan_interface.h>
#endif

enum { LANES = 32, POISON = 0xFF }; /* NaN */

enum state { READY, WAITING, DONE };

struct thread {
    enum state state;
    struct coroutine *coroutine;
    enum vj_emulate_group group; /* what it waits for, and where */
    const char *file;
    int line;
    unsigned exchanges, barriers[2]; /* so far */
};

/*
 * Where a coroutine or the scheduler goes on. It begins with a context; later the compiler's own
 * jumps do, which change the stack without a call of the system and which sanitizers let pass.
 */
struct place {
    ucontext_t context;
    void *jump[5];
};

struct coroutine {
    struct place place;
    char *stack; /* of STACK bytes, owned; never freed: blocks use them again and again */
    unsigned thread;
    int begun;
    void *tsan;
};

struct vj_emulate_place vj_emulate_place;

static struct {
    struct thread thread[VJ_EMULATE_THREADS];
    struct coroutine coroutine[VJ_EMULATE_THREADS];
    unsigned threads, started; /* of the block; number of them that have begun */
    struct place scheduler;
    unsigned current;
    uint3 index;
    int order;
    void (*body)(void *);
    void *context;
    uint32_t exchanged[2][VJ_EMULATE_THREADS][VJ_EMULATE_WARP_WORDS];
    const void *scheduler_stack;
    size_t scheduler_size;
    void *scheduler_tsan;
} run;

/* Number i of n in turn: up, down or shuffled (7919 is prime). */
static unsigned turn(unsigned i, unsigned n)
{
    if (run.order == 1)
        return n - 1 - i;
    if (run.order == 2 && n % 7919)
        return (unsigned)(((uint64_t)i * 7919 + 5) % n);
    return i;
}

/* ---- coroutines ---- */

/* The address sanitizer would have all of the stack anew, for every jump. */
#define BARE __attribute__((noinline, no_sanitize("address")))

static BARE __attribute__((noreturn)) void jump(struct place *to)
{
    __builtin_longjmp(to->jump, 1);
}

static BARE void go(struct place *from, struct place *to, int begun)
{
    if (__builtin_setjmp(from->jump))
        return;
    if (begun)
        jump(to);
    setcontext(&to->context);
}

static void enter(struct coroutine *c)
{
    const int begun = c->begun;
    c->begun = 1;
    run.current = c->thread;
    run.index.x = c->thread;
#ifdef __SANITIZE_ADDRESS__
    void *fake;
    __sanitizer_start_switch_fiber(&fake, c->stack, STACK);
#endif
#ifdef VJ_EMULATE_RACES
    __tsan_switch_to_fiber(c->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    go(&run.scheduler, &c->place, begun);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

static void leave(struct coroutine *c)
{
#ifdef __SANITIZE_ADDRESS__
    void *fake;
    __sanitizer_start_switch_fiber(&fake, run.scheduler_stack, run.scheduler_size);
#endif
#ifdef VJ_EMULATE_RACES
    __tsan_switch_to_fiber(run.scheduler_tsan, __tsan_switch_to_fiber_no_sync);
#endif
    go(&c->place, &run.scheduler, 1);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, &run.scheduler_stack, &run.scheduler_size);
#endif
}

/*
 * What orders threads for the thread sanitizer. A barrier has two places in turn, so that who comes
 * to the next one early is not behind who leaves this one late.
 */
static struct {
    char begin, end, block[2], warp[VJ_EMULATE_THREADS / LANES][2];
} order;

static void acquire(char *place)
{
#ifdef VJ_EMULATE_RACES
    __tsan_acquire(place);
#else
    (void)place;
#endif
}

static void release(char *place)
{
#ifdef VJ_EMULATE_RACES
    __tsan_release(place);
#else
    (void)place;
#endif
}

static void begin_thread(struct coroutine *c)
{
    const unsigned i = turn(run.started++, run.threads);
    struct thread *t = &run.thread[i];
    c->thread = run.current = run.index.x = i;
    memset(t, 0, sizeof(*t));
    t->state = READY;
    t->coroutine = c;
}

/*
 * Threads that never wait follow one another in one coroutine; to the thread sanitizer each is one
 * of its own.
 */
static void work(void)
{
    struct coroutine *c = run.thread[run.current].coroutine;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &run.scheduler_stack, &run.scheduler_size);
#endif
    for (;;) {
        acquire(&order.begin);
        run.body(run.context);
        release(&order.end);
        run.thread[c->thread].state = DONE;
#ifndef VJ_EMULATE_RACES
        if (run.started < run.threads) {
            begin_thread(c);
            continue;
        }
#endif
        leave(c);
    }
}

static void make(struct coroutine *c)
{
    c->stack = malloc(STACK);
    if (!c->stack || getcontext(&c->place.context))
        abort();
    c->place.context.uc_stack.ss_sp = c->stack;
    c->place.context.uc_stack.ss_size = STACK;
    c->place.context.uc_link = NULL;
#ifdef VJ_EMULATE_RACES
    c->tsan = __tsan_create_fiber(0);
#endif
    makecontext(&c->place.context, work, 0);
}

/* ---- a block ---- */

static void start_threads(void)
{
    unsigned used = 0;
    run.started = 0;
    while (run.started < run.threads) {
#ifdef VJ_EMULATE_RACES
        struct coroutine *c = &run.coroutine[turn(run.started, run.threads)];
        (void)used;
#else
        struct coroutine *c = &run.coroutine[used++];
#endif
        if (!c->stack)
            make(c);
        begin_thread(c);
        enter(c);
    }
}

void vj_emulate_stop(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: thread %u of block %u, %u, %u: %s\n", file, line, run.current,
            vj_emulate_place.block.x, vj_emulate_place.block.y, vj_emulate_place.block.z, what);
    _Exit(1);
}

/* Whether threads first.. wait at one place for this group. */
static int all_there(enum vj_emulate_group group, unsigned first, unsigned count)
{
    const struct thread *t = &run.thread[first];
    for (unsigned i = 0; i < count; i++)
        if (t[i].state != WAITING || t[i].group != group || t[i].line != t[0].line ||
            (t[i].file != t[0].file && strcmp(t[i].file, t[0].file)))
            return 0;
    return 1;
}

static void go_on(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        run.thread[i].state = READY;
}

/* Lets go whom nothing holds any more; false: all threads are done. */
static int open_barriers(void)
{
    unsigned opened = 0, waiting = 0;
    if (all_there(VJ_EMULATE_BLOCK, 0, run.threads)) {
        go_on(0, run.threads);
        return 1;
    }
    for (unsigned first = 0; first < run.threads; first += LANES) {
        const unsigned count = run.threads - first < LANES ? run.threads - first : LANES;
        if (all_there(VJ_EMULATE_WARP, first, count)) {
            go_on(first, count);
            opened++;
        }
    }
    for (unsigned i = 0; i < run.threads && !opened; i++)
        if (run.thread[i].state == WAITING) {
            run.current = i;
            waiting++;
        }
    if (waiting)
        vj_emulate_stop("waits for threads that do not come here", run.thread[run.current].file,
                        run.thread[run.current].line);
    return opened > 0;
}

static void run_block(void)
{
    start_threads();
    while (open_barriers())
        for (unsigned i = 0; i < run.threads; i++) {
            struct thread *t = &run.thread[turn(i, run.threads)];
            if (t->state == READY)
                enter(t->coroutine);
        }
}

const uint3 *vj_emulate_thread(void)
{
    return &run.index;
}

void vj_emulate_barrier(enum vj_emulate_group group, const char *file, int line)
{
    struct thread *t = &run.thread[run.current];
    t->state = WAITING;
    t->group = group;
    t->file = file;
    t->line = line;
    char *place = group == VJ_EMULATE_BLOCK ? order.block : order.warp[run.current / LANES];
    place += t->barriers[group]++ % 2;
    release(place);
    leave(t->coroutine);
    acquire(place);
}

const void *vj_emulate_warp(const void *words, unsigned count, const char *file, int line)
{
    const unsigned thread = run.current;
    uint32_t(*all)[VJ_EMULATE_WARP_WORDS] = run.exchanged[run.thread[thread].exchanges++ % 2];
    memcpy(all[thread], words, count * sizeof(uint32_t));
    vj_emulate_barrier(VJ_EMULATE_WARP, file, line);
    return all[thread / LANES * LANES];
}

float vj_emulate_half(uint16_t bits)
{
    return vj_cuda_net_half_value(bits);
}

uint16_t vj_emulate_to_half(float value)
{
    return vj_cuda_net_half_bits(value);
}

/* ---- shared memory ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(VJ_EMULATE_RACES)
static void spoil(int first)
{
    (void)first;
}
#else
extern char __start_vj_shared[], __stop_vj_shared[];
static char poison[256]; /* spoil() fills it */

/* All of it before a launch, then what its first block wrote to. */
static void spoil(int first)
{
    static char *from, *to;
    if (first) {
        from = __start_vj_shared;
        to = __stop_vj_shared;
        memset(poison, POISON, sizeof(poison));
    } else {
        while ((size_t)(to - from) > sizeof(poison) && !memcmp(from, poison, sizeof(poison)))
            from += sizeof(poison);
        while ((size_t)(to - from) > sizeof(poison) &&
               !memcmp(to - sizeof(poison), poison, sizeof(poison)))
            to -= sizeof(poison);
        while (from < to && *from == (char)POISON)
            from++;
        while (from < to && to[-1] == (char)POISON)
            to--;
    }
    memset(from, POISON, (size_t)(to - from));
}
#endif

/* ---- a grid ---- */

void vj_emulate_grid(dim3 grid, unsigned threads, void (*body)(void *), void *context)
{
    static uint32_t launches;
    const unsigned blocks = grid.x * grid.y * grid.z;
    if (threads < 1 || threads > VJ_EMULATE_THREADS || blocks < 1 || grid.y > 65535 ||
        grid.z > 65535)
        vj_emulate_stop("no such grid", __FILE__, __LINE__);
    run.order = (int)((launches++ * 2654435761u >> 16) % 3);
    run.threads = threads;
    run.body = body;
    run.context = context;
    vj_emulate_place.threads = (dim3){threads, 1, 1};
    vj_emulate_place.grid = grid;
#ifdef VJ_EMULATE_RACES
    run.scheduler_tsan = __tsan_get_current_fiber();
#endif
    for (unsigned i = 0; i < blocks; i++) {
        const unsigned b = turn(i, blocks);
        vj_emulate_place.block = (uint3){b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        spoil(i == 0);
        release(&order.begin);
        run_block();
        acquire(&order.end);
    }
}
