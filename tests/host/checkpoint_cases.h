/* SPDX-License-Identifier: MIT */
/*
 * Damaged pieces of a checkpoint's index, each wrapped into an otherwise honest table by the test,
 * and a part of the error that it must give; an empty `error` marks pieces that are unusual but
 * valid.
 */
#ifndef VJ_TESTS_HOST_CHECKPOINT_CASES_H
#define VJ_TESTS_HOST_CHECKPOINT_CASES_H

#include <stddef.h>

struct piece {
    const char *what;
    const char *bytes;
    size_t size;
    const char *error;
};

#define PIECE(what, literal, error)                                                                \
    {                                                                                              \
        what, literal, sizeof(literal) - 1, error                                                  \
    }

#define MINUS_ONE "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" /* varint of -1 */
#define CRC       "\x35\0\0\0\0"                             /* field 6 */
#define SCALAR    "\x08\1\x12\0\x28\4" CRC                   /* float32, 11 bytes */
#define TAIL      "\x28\4" CRC

/* Values of the tensor "t", BundleEntryProto; the checkpoint has one shard. */
static const struct piece entry_cases[] = {
    PIECE("float32 scalar", SCALAR, ""),
    PIECE("unknown field of every wire type",
          SCALAR "\xf8\x3f\1"
                 "\xf9\x3f"
                 "12345678"
                 "\xfa\x3f\2xy"
                 "\xfd\x3f"
                 "1234",
          ""),
    PIECE("named dimension", "\x08\1\x12\7\x12\5\x08\1\x12\1n" TAIL, ""),
    PIECE("dimension without a size", "\x08\1\x12\2\x12\0" CRC, ""),
    PIECE("known rank", "\x08\1\x12\2\x18\0" TAIL, ""),
    PIECE("type of the future", "\x08\x63\x12\0\x28\5" CRC, ""),
    PIECE("no fields", "", "field dtype is missing"),
    PIECE("no type", "\x12\0" TAIL, "field dtype is missing"),
    PIECE("type as fixed32", "\x0d\1\0\0\0", "field dtype has wire type 5, expected 0"),
    PIECE("negative type", "\x08" MINUS_ONE, "field dtype is -1"),
    PIECE("varint of eleven bytes", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "malformed"),
    PIECE("varint of 65 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", "malformed"),
    PIECE("varint cut off", "\x08\x80", "field 1 is cut off"),
    PIECE("tag cut off", "\x80", "no valid tag"),
    PIECE("field number 0", "\0\1", "no valid tag"),
    PIECE("group", "\x0b\x0c", "malformed"),
    PIECE("wire type 7", "\x0f\0", "malformed"),
    PIECE("fixed32 cut off", "\x08\1\x35\0\0\0", "field 6 is cut off"),
    PIECE("fixed64 cut off", "\x09\0\0\0\0\0\0\0", "field 1 is cut off"),
    PIECE("shape longer than the entry", "\x08\1\x12\x7f", "field 2 is cut off"),
    PIECE("shape length of 64 bits", "\x08\1\x12" MINUS_ONE, "field 2 is cut off"),
    PIECE("shape as a number", "\x08\1\x10\1", "field shape has wire type 0"),
    PIECE("dimension as a number", "\x08\1\x12\2\x10\1", "field shape.dim has wire type 0"),
    PIECE("dimension's size as bytes", "\x08\1\x12\4\x12\2\x0a\0",
          "field shape.dim.size has wire type 2"),
    PIECE("dimension longer than the shape", "\x08\1\x12\2\x12\5", "field 2 is cut off"),
    PIECE("negative dimension", "\x08\1\x12\x0d\x12\x0b\x08" MINUS_ONE TAIL,
          "shape.dim.size is -1"),
    PIECE("unknown rank", "\x08\1\x12\2\x18\1" TAIL, "rank cannot be unknown"),
    PIECE("nine dimensions",
          "\x08\1\x12\x24"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1"
          "\x12\2\x08\1" TAIL,
          "more than 8 dimensions"),
    PIECE("product of 2^64",
          "\x08\1\x12\x10"
          "\x12\6\x08\x80\x80\x80\x80\x10"
          "\x12\6\x08\x80\x80\x80\x80\x10" TAIL,
          "does not fit 64 bits"),
    PIECE("four times 2^63 bytes",
          "\x08\1\x12\x10"
          "\x12\6\x08\x80\x80\x80\x80\x10"
          "\x12\6\x08\x80\x80\x80\x80\x08" TAIL,
          "does not fit 64 bits"),
    PIECE("size too large", "\x08\1\x12\0\x28\5" CRC,
          "size is 5 bytes, but its shape and type need 4"),
    PIECE("size missing", "\x08\1\x12\0" CRC, "size is 0 bytes, but its shape and type need 4"),
    PIECE("size of another type", "\x08\2\x12\0" TAIL,
          "size is 4 bytes, but its shape and type need 8"),
    PIECE("negative size", "\x08\1\x12\0\x28" MINUS_ONE CRC, "field size is -1"),
    PIECE("shard out of range", "\x08\1\x12\0\x18\1" TAIL, "shard_id is 1, but there are only 1"),
    PIECE("negative shard", "\x08\1\x12\0\x18" MINUS_ONE TAIL, "field shard_id is -1"),
    PIECE("negative offset", "\x08\1\x12\0\x20" MINUS_ONE TAIL, "field offset is -1"),
    PIECE("offset + size of 2^63 + 3", "\x08\1\x12\0\x20\xff\xff\xff\xff\xff\xff\xff\xff\x7f" TAIL,
          "offset + size does not fit"),
    PIECE("crc32c as a varint", "\x08\1\x12\0\x28\4\x30\1", "field crc32c has wire type 0"),
    PIECE("slices as a number", SCALAR "\x38\1", "field slices has wire type 0"),
};

/* Values of the empty key, BundleHeaderProto. */
static const struct piece header_cases[] = {
    PIECE("one shard", "\x08\1", ""),
    PIECE("as the released checkpoint has it", "\x08\1\x1a\2\x08\1", ""),
    PIECE("this version asked for", "\x08\1\x1a\2\x10\1", ""),
    PIECE("no fields", "", "num_shards is 0"),
    PIECE("number of shards as bytes", "\x0a\0", "field num_shards has wire type 2"),
    PIECE("100,000 shards", "\x08\xa0\x8d\6", "field num_shards is 100000"),
    PIECE("negative number of shards", "\x08" MINUS_ONE, "field num_shards is -1"),
    PIECE("big endian", "\x08\1\x10\1", "big endian"),
    PIECE("endianness 2", "\x08\1\x10\2", "field endianness is 2"),
    PIECE("newer version asked for", "\x08\1\x1a\2\x10\2", "reader of format version 2"),
    PIECE("version as a number", "\x08\1\x18\1", "field version has wire type 0"),
    PIECE("version cut off", "\x08\1\x1a\1\x10", "field 2 is cut off"),
    PIECE("cut off", "\x08", "field 1 is cut off"),
};

/* In blocks: the entry with the header (5 bytes), one with a scalar (15 bytes for a 1-byte key). */
#define HEADER            "\0\0\2\x08\1"
#define TENSOR(key)       "\0\1\x0b" key SCALAR
#define RESTART           "\0\0\0\0\1\0\0\0"
#define SAME(key, shared) shared "\1\x0b" key SCALAR

/* The only data block. */
static const struct piece data_block_cases[] = {
    PIECE("header and a tensor", HEADER TENSOR("a") RESTART, ""),
    PIECE("every entry a restart", HEADER TENSOR("a") "\0\0\0\0\5\0\0\0\2\0\0\0", ""),
    PIECE("prefix shared in part",
          HEADER "\0\2\x0b"
                 "ab" SCALAR SAME("c", "\1") RESTART,
          ""),
    PIECE("no bytes", "", "too short for its restart count"),
    PIECE("three bytes", "\0\0\0", "too short for its restart count"),
    PIECE("no restarts", HEADER "\0\0\0\0", "restart count does not fit"),
    PIECE("restart count too large", HEADER "\0\0\0\0\xff\xff\xff\xff",
          "restart count does not fit"),
    PIECE("no entries", RESTART, "has no entries"),
    PIECE("two restarts without entries", "\0\0\0\0\0\0\0\0\2\0\0\0", "restart offsets"),
    PIECE("first restart not at 0", HEADER TENSOR("a") "\5\0\0\0\1\0\0\0", "restart offsets"),
    PIECE("restart within an entry", HEADER TENSOR("a") "\0\0\0\0\6\0\0\0\2\0\0\0",
          "restart offsets"),
    PIECE("restart behind the entries", HEADER TENSOR("a") "\0\0\0\0\x14\0\0\0\2\0\0\0",
          "restart offsets"),
    PIECE("restart outside the block", HEADER TENSOR("a") "\0\0\0\0\xff\xff\xff\xff\2\0\0\0",
          "restart offsets"),
    PIECE("restart twice", HEADER TENSOR("a") "\0\0\0\0\0\0\0\0\2\0\0\0", "restart offsets"),
    PIECE("restarts falling", HEADER TENSOR("a") "\0\0\0\0\5\0\0\0\0\0\0\0\3\0\0\0",
          "restart offsets"),
    PIECE("sharing at a restart", HEADER TENSOR("a") SAME("b", "\1") "\0\0\0\0\x14\0\0\0\2\0\0\0",
          "at a restart shares"),
    PIECE("sharing more than there is", HEADER TENSOR("a") SAME("b", "\2") RESTART, "shares more"),
    PIECE("sharing 2^63",
          HEADER TENSOR("a") SAME("b", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\1") RESTART,
          "shares more"),
    PIECE("first entry shares", "\1\0\2\x08\1" RESTART, "at a restart shares"),
    PIECE("key twice", HEADER TENSOR("a") TENSOR("a") RESTART, "keys are not strictly rising"),
    PIECE("key twice, all of it shared", HEADER TENSOR("a") "\1\0\x0b" SCALAR RESTART,
          "keys are not strictly rising"),
    PIECE("keys falling", HEADER TENSOR("b") TENSOR("a") RESTART, "keys are not strictly rising"),
    PIECE("keys falling as unsigned bytes", HEADER TENSOR("\xe4") TENSOR("z") RESTART,
          "keys are not strictly rising"),
    PIECE("header twice", HEADER HEADER RESTART, "keys are not strictly rising"),
    PIECE("no header", TENSOR("a") RESTART, "header is missing"),
    PIECE("value beyond the block",
          HEADER "\0\1\x0c"
                 "a" SCALAR RESTART,
          "beyond the block's end"),
    PIECE("key beyond the block",
          HEADER "\0\x7f\0"
                 "a" SCALAR RESTART,
          "beyond the block's end"),
    PIECE("value size of 64 bits", HEADER "\0\1" MINUS_ONE "a" SCALAR RESTART,
          "beyond the block's end"),
    PIECE("key size of eleven bytes", HEADER "\0\xff" MINUS_ONE "a" SCALAR RESTART,
          "beyond the block's end"),
    PIECE("entry head cut off", HEADER "\0\1" RESTART, "beyond the block's end"),
};

/* The first data block of two: keys "", "a" at byte 0 (28 bytes), "c" at byte 33 (23 bytes). */
#define FIRST  "\0\x1c"
#define SECOND "\x21\x17"

/* The index block. */
static const struct piece index_block_cases[] = {
    PIECE("both blocks",
          "\0\1\2"
          "b" FIRST "\0\1\2"
          "c" SECOND RESTART,
          ""),
    PIECE("no data blocks", RESTART, "header is missing"),
    PIECE("value without a size",
          "\0\1\1"
          "b"
          "\0" RESTART,
          "not a block handle"),
    PIECE("value empty",
          "\0\1\0"
          "b" RESTART,
          "not a block handle"),
    PIECE("value with more behind it",
          "\0\1\3"
          "b" FIRST "\0" RESTART,
          "not a block handle"),
    PIECE("handle of eleven bytes",
          "\0\1\x0c"
          "b"
          "\xff" MINUS_ONE "\0" RESTART,
          "not a block handle"),
    PIECE("offset outside the file",
          "\0\1\3"
          "b"
          "\xff\x7f\x1c" RESTART,
          "outside the file's"),
    PIECE("offset of 64 bits",
          "\0\1\x0b"
          "b" MINUS_ONE "\x1c" RESTART,
          "outside the file's"),
    PIECE("size outside the file",
          "\0\1\3"
          "b"
          "\0\xff\x7f" RESTART,
          "outside the file's"),
    PIECE("size of 64 bits",
          "\0\1\x0b"
          "b"
          "\0" MINUS_ONE RESTART,
          "outside the file's"),
    PIECE("block one byte short",
          "\0\1\2"
          "b"
          "\0\x1b" RESTART,
          "data block at byte 0: CRC-32C"),
    PIECE("block one byte late",
          "\0\1\2"
          "b"
          "\1\x1c" RESTART,
          "data block at byte 1: CRC-32C"),
    PIECE("the same block twice",
          "\0\1\2"
          "b" FIRST "\0\1\2"
          "c" FIRST RESTART,
          "overlaps"),
    PIECE("blocks in the wrong order",
          "\0\1\2"
          "b" SECOND "\0\1\2"
          "c" FIRST RESTART,
          "header is missing"),
    PIECE("separator below its block",
          "\0\0\2" FIRST "\0\1\2"
          "c" SECOND RESTART,
          "data block at byte 0: has keys above its separator"),
    PIECE("next block not above the separator",
          "\0\1\2"
          "c" FIRST "\0\1\2"
          "d" SECOND RESTART,
          "data block at byte 33: keys are not strictly rising"),
    PIECE("separators falling",
          "\0\1\2"
          "b" FIRST "\0\1\2"
          "a" SECOND RESTART,
          "keys are not strictly rising"),
};

#endif
