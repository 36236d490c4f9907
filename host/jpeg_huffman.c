/* SPDX-License-Identifier: MIT */
#include "host/jpeg_huffman.h"

#include <string.h>

/* The symbol that reserves the all-ones code, and the number of symbols with it. */
enum { RESERVED = 256, SYMBOLS = 257 };

/*
 * The rarest tree of those left, the one with the larger number of several; -1 when none is left.
 * other_than: number of a tree to pass over, or -1
 */
static int rarest(const int64_t weight[SYMBOLS], int other_than)
{
    int best = -1;
    for (int i = 0; i < SYMBOLS; i++) {
        if (weight[i] && i != other_than && (best < 0 || weight[i] <= weight[best]))
            best = i;
    }
    return best;
}

/* Code length of each symbol by Huffman's algorithm; a tree is named after its first leaf. */
static void code_lengths(const int64_t count[256], int length[SYMBOLS])
{
    int64_t weight[SYMBOLS];
    int next[SYMBOLS]; /* leaves of a tree as a list */
    memcpy(weight, count, 256 * sizeof(*count));
    weight[RESERVED] = 1;
    for (int i = 0; i < SYMBOLS; i++) {
        length[i] = 0;
        next[i] = -1;
    }
    for (;;) {
        int a = rarest(weight, -1);
        int b = rarest(weight, a);
        if (b < 0)
            return;
        weight[a] += weight[b];
        weight[b] = 0;
        int last = a;
        for (int i = a; i >= 0; i = next[i]) {
            length[i]++;
            last = i;
        }
        next[last] = b;
        for (int i = b; i >= 0; i = next[i])
            length[i]++;
    }
}

/* Shortens codes of over 16 bits, two at a time, at the cost of a shorter one (T.81 figure K.3). */
static void limit_lengths(int bits[SYMBOLS])
{
    for (int n = SYMBOLS - 1; n > 16; n--) {
        while (bits[n]) {
            int shorter = n - 2;
            while (!bits[shorter])
                shorter--;
            bits[n] -= 2;
            bits[n - 1]++;
            bits[shorter]--;
            bits[shorter + 1] += 2;
        }
    }
}

void vj_jpeg_optimal_huffman(const int64_t count[256], struct vj_jpeg_huffman *huffman)
{
    int length[SYMBOLS];
    code_lengths(count, length);

    int bits[SYMBOLS] = {0};
    for (int i = 0; i < SYMBOLS; i++)
        bits[length[i]]++;
    bits[0] = 0;
    limit_lengths(bits);
    int longest = 16;
    while (!bits[longest])
        longest--;
    bits[longest]--; /* the reserved code is one of the longest */

    memset(huffman, 0, sizeof(*huffman));
    for (int n = 1; n <= 16; n++)
        huffman->bits[n] = (uint8_t)bits[n];
    int symbols = 0;
    for (int n = 1; n < SYMBOLS; n++) {
        for (int s = 0; s < 256; s++) {
            if (length[s] == n)
                huffman->values[symbols++] = (uint8_t)s;
        }
    }
}
