/* SPDX-License-Identifier: MIT */
/*
 * A bounded reading position over bytes, and the variable-length integers that LevelDB tables and
 * protocol buffers have in common: seven bits a byte, lowest first, the top bit set on all but the
 * last.
 */
#ifndef VJ_HOST_CHECKPOINT_WIRE_H
#define VJ_HOST_CHECKPOINT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes not yet read; take functions move `p` forward, and leave it alone when they fail. */
struct vj_wire {
    const uint8_t *p, *end;
};

static inline size_t vj_wire_left(const struct vj_wire *w)
{
    return (size_t)(w->end - w->p);
}

/* Takes one integer; false when the bytes end within it or it does not fit 64 bits. */
static inline bool vj_wire_varint(struct vj_wire *w, uint64_t *out)
{
    uint64_t value = 0;
    const uint8_t *p = w->p;
    for (int shift = 0; shift < 64 && p < w->end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            w->p = p;
            *out = value;
            return true;
        }
    }
    return false;
}

/* Takes `size` bytes as a reading position of their own; false when there are fewer. */
static inline bool vj_wire_bytes(struct vj_wire *w, uint64_t size, struct vj_wire *out)
{
    if (size > vj_wire_left(w))
        return false;
    out->p = w->p;
    out->end = w->p + size;
    w->p = out->end;
    return true;
}

static inline uint32_t vj_u32_le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t vj_u64_le(const uint8_t *p)
{
    return vj_u32_le(p) | (uint64_t)vj_u32_le(p + 4) << 32;
}

#endif
