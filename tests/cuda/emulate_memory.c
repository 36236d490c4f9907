/* SPDX-License-Identifier: MIT */
#include "tests/cuda/emulate_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct block {
    uintptr_t first, end;
    enum vj_emulate_side side;
};

bool vj_emulate_checks_arguments = true;

static struct block *blocks;
static size_t count, room;

__attribute__((noreturn)) static void stop(const char *what, const void *p, const char *fault)
{
    fprintf(stderr, "%s: %p %s\n", what, p, fault);
    exit(1);
}

enum { ALIGNMENT = 256 }; /* that CUDA promises at least */

#ifdef __SANITIZE_ADDRESS__

static void *take(size_t bytes)
{
    void *p;
    return posix_memalign(&p, ALIGNMENT, bytes) ? NULL : memset(p, 0xff, bytes);
}

static void give_back(const struct block *b)
{
    free((void *)b->first);
}

#else

enum { CHUNK = 2 << 20 };

static size_t up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* A file of CHUNK bytes of 0xff. */
static int poison(void)
{
    static int file = -1;
    char page[4096];
    if (file >= 0)
        return file;
    file = memfd_create("poison", MFD_CLOEXEC);
    memset(page, 0xff, sizeof(page));
    for (size_t at = 0; at < CHUNK; at += sizeof(page))
        if (file < 0 || write(file, page, sizeof(page)) != sizeof(page))
            abort();
    return file;
}

/* The file again and again, to be copied where something is written, between pages that nothing may
 * touch: filling gigabytes that are never used would take a third of a device's tests. */
static void *take(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = up(bytes, page);
    char *map = mmap(NULL, whole + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    for (size_t at = 0; at < whole; at += CHUNK)
        if (mmap(map + page + at, whole - at < CHUNK ? whole - at : CHUNK, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_FIXED, poison(), 0) == MAP_FAILED)
            abort();
    return map + page + whole - up(bytes, ALIGNMENT);
}

static void give_back(const struct block *b)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = b->end - b->first;
    const uintptr_t end = b->first + up(bytes, ALIGNMENT);
    munmap((void *)(end - up(bytes, page) - page), up(bytes, page) + 2 * page);
}

#endif

/* When the program ends, or the module is unloaded. */
static void look_for_leaks(void)
{
    if (!count)
        return;
    fprintf(stderr, "%zu blocks of the GPU's or pinned memory were not freed, one of %zu bytes\n",
            count, (size_t)(blocks[0].end - blocks[0].first));
    _exit(1);
}

void *vj_emulate_allocate(size_t bytes, enum vj_emulate_side side)
{
    void *block = take(bytes);
    if (!block)
        return NULL;
    if (room == 0 && atexit(look_for_leaks))
        abort();
    if (count == room) {
        room = 2 * room + 64;
        blocks = realloc(blocks, room * sizeof(*blocks));
        if (!blocks)
            abort();
    }
    blocks[count++] = (struct block){(uintptr_t)block, (uintptr_t)block + bytes, side};
    return block;
}

void vj_emulate_free(void *block, enum vj_emulate_side side)
{
    size_t i = 0;
    while (i < count && (blocks[i].first != (uintptr_t)block || blocks[i].side != side))
        i++;
    if (i == count)
        stop(side == VJ_EMULATE_GPU ? "cudaFree" : "cudaFreeHost", block, "is no block of it");
    give_back(&blocks[i]);
    blocks[i] = blocks[--count];
}

static bool in_gpu(uintptr_t first, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        if (blocks[i].side == VJ_EMULATE_GPU && first >= blocks[i].first &&
            first <= blocks[i].end && bytes <= blocks[i].end - first)
            return true;
    return false;
}

void vj_emulate_need_gpu(const void *p, size_t bytes, const char *what)
{
    if (!in_gpu((uintptr_t)p, bytes))
        stop(what, p, "and what follows it is not the GPU's memory");
}

void vj_emulate_need_host(const void *p, size_t bytes, const char *what)
{
    const uintptr_t first = (uintptr_t)p;
    for (size_t i = 0; i < count; i++)
        if (blocks[i].side == VJ_EMULATE_GPU && first < blocks[i].end &&
            first + bytes > blocks[i].first)
            stop(what, p, "is the GPU's memory where the host's belongs");
}

/* Programs that may lie anywhere have all their memory in the upper part of the addresses; the
 * sanitizers have theirs below, and two small numbers side by side look like an address there. */
static bool is_memory(uintptr_t p)
{
    static const uintptr_t least = (uintptr_t)1 << 45, end = (uintptr_t)1 << 47;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char resident;
    return p >= least && p < end && mincore((void *)(p / page * page), 1, &resident) == 0;
}

void vj_emulate_check_argument(const void *argument, size_t bytes, bool is_pointer)
{
    uintptr_t word;
    for (size_t at = 0; vj_emulate_checks_arguments && at + sizeof(word) <= bytes;
         at += sizeof(word)) {
        memcpy(&word, (const char *)argument + at, sizeof(word));
        if (word && !in_gpu(word, 0) && (is_pointer || is_memory(word)))
            stop("a kernel's argument", (void *)word, "is not the GPU's memory");
    }
}
