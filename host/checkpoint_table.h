/* SPDX-License-Identifier: MIT */
/*
 * Reader of LevelDB-style sorted tables, the container of a TensorFlow checkpoint's index.
 *
 * Layout: blocks, each followed by a trailer of one type byte (0 raw, 1 Snappy) and a masked
 * CRC-32C over block and type byte; at the end a 48-byte footer: the handles (offset, size without
 * trailer) of the metaindex block and of the index block as varints, zeros up to byte 40, and a
 * magic number. Values of the index block are handles of data blocks, its keys separate one block's
 * keys from the next one's. A block is a list of entries (varints shared, fresh and value size; the
 * key's fresh bytes behind its predecessor's first `shared` ones; the value), then the offsets of
 * the entries that share nothing (restarts), then their count.
 */
#ifndef VJ_HOST_CHECKPOINT_TABLE_H
#define VJ_HOST_CHECKPOINT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_TABLE_KEY_MAX = 1024,       /* longer keys are refused, bytes */
    VJ_TABLE_BLOCK_MAX = 16 << 20, /* larger blocks are refused (after decompression), bytes */
};

/* One entry of a table; the bytes are valid until the visitor returns. */
struct vj_table_entry {
    const uint8_t *key, *value;
    size_t key_size, value_size; /* bytes; keys 0..VJ_TABLE_KEY_MAX */
};

/* Called for every entry in key order; a non-zero return ends the walk and is passed on. */
typedef int (*vj_table_visitor)(void *context, const struct vj_table_entry *entry,
                                struct vj_error *err);

/*
 * Walks the entries of a table held in memory and checks all of it: footer, the CRC of every block,
 * entry and restart structure, keys strictly rising over the whole table, separators, data blocks
 * in file order without overlap. A visitor sees an entry before what lies behind it is checked.
 *
 * data:  the whole file, `size` bytes
 * visit: called with `context`; its error text gets the data block's place put in front
 * err:   -EBADMSG damage, -ENOTSUP Snappy blocks in a build without Snappy or an unknown
 * compression, -ENOMEM, or what `visit` returned; the text says the block's offset but not the
 * file's name
 */
int vj_table_walk(const uint8_t *data, size_t size, vj_table_visitor visit, void *context,
                  struct vj_error *err);

#endif
