/* SPDX-License-Identifier: MIT */
/*
 * The two protocol buffers in a checkpoint's index: BundleHeaderProto {1 num_shards, 2 endianness,
 * 3 version {1 producer, 2 min_consumer}} and BundleEntryProto {1 dtype, 2 shape {2 dim {1 size},
 * 3 unknown_rank}, 3 shard_id, 4 offset, 5 size, 6 crc32c, 7 slices}. Absent fields are zero,
 * unknown ones are passed over, known ones with another wire type are damage.
 */
#ifndef VJ_HOST_CHECKPOINT_BUNDLE_H
#define VJ_HOST_CHECKPOINT_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "host/checkpoint.h"
#include "host/error.h"

/*
 * Reads the header; only what this reader can handle passes (little endian, known version).
 * num_shards: 1..VJ_CHECKPOINT_SHARDS_MAX
 * err: -EBADMSG damage, -ENOTSUP; names the field
 */
int vj_bundle_parse_header(uint32_t *num_shards, const uint8_t *data, size_t size,
                           struct vj_error *err);

/*
 * Reads an entry and checks it: type given, dimensions known and not negative, size = product of
 * the shape x size of a number, shard below num_shards, offset + size below 2^63.
 *
 * e:   all but the name is filled, e->name is left alone
 * err: -EBADMSG damage, -ENOTSUP too many dimensions; names the field
 */
int vj_bundle_parse_entry(struct vj_checkpoint_entry *e, const uint8_t *data, size_t size,
                          uint32_t num_shards, struct vj_error *err);

#endif
