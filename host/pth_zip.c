/* SPDX-License-Identifier: MIT */
/* ZIP (PKWARE APPNOTE 6.3) as far as torch.save() uses it: stored members, ZIP64 sizes. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "host/checked.h"
#include "host/pth_internal.h"

enum {
    END_SIZE = 22, /* of the end record, without its comment */
    END64_LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    ENTRY_SIZE = 46, /* of a central directory entry, without name, extra field and comment */
    LOCAL_SIZE = 30,
    COMMENT_MAX = 65535,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1,
    MEMBERS_MAX = 65535,
};
static const uint32_t end_mark = 0x06054b50, end64_locator_mark = 0x07064b50;
static const uint32_t end64_mark = 0x06064b50, entry_mark = 0x02014b50, local_mark = 0x04034b50;

static uint64_t little(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    return (uint32_t)little(at, 4);
}

/* Whether size bytes at `offset` lie within the file. */
static bool within(struct vj_span file, uint64_t offset, uint64_t size)
{
    return offset <= file.size && size <= file.size - offset;
}

struct directory {
    uint64_t entries, size, offset;
};

/* The end record lies at the end, before a comment of any length. */
static int find_end(size_t *at, struct vj_span file, struct vj_error *err)
{
    for (size_t back = END_SIZE; back <= file.size && back <= END_SIZE + COMMENT_MAX; back++) {
        const uint8_t *end = file.data + file.size - back;
        if (u32(end) == end_mark && little(end + 20, 2) == back - END_SIZE) {
            *at = file.size - back;
            return 0;
        }
    }
    return vj_fail(err, -EINVAL,
                   "has no end record of a ZIP archive: the file is cut off, or in the format of "
                   "PyTorch before 1.6; load it and save it anew with torch.save()");
}

static int read_end64(struct directory *dir, struct vj_span file, size_t end, struct vj_error *err)
{
    if (end < END64_LOCATOR_SIZE)
        return 0;
    const uint8_t *locator = file.data + end - END64_LOCATOR_SIZE;
    if (u32(locator) != end64_locator_mark)
        return 0;
    uint64_t at = little(locator + 8, 8);
    if (!within(file, at, END64_SIZE) || u32(file.data + at) != end64_mark)
        return vj_fail(err, -EINVAL, "ZIP64 end record: not at offset %" PRIu64 " where it should",
                       at);
    *dir = (struct directory){.entries = little(file.data + at + 32, 8),
                              .size = little(file.data + at + 40, 8),
                              .offset = little(file.data + at + 48, 8)};
    return 0;
}

static int read_directory(struct directory *dir, struct vj_span file, struct vj_error *err)
{
    size_t end = 0;
    int r = find_end(&end, file, err);
    if (r)
        return r;
    const uint8_t *record = file.data + end;
    *dir = (struct directory){.entries = little(record + 10, 2),
                              .size = little(record + 12, 4),
                              .offset = little(record + 16, 4)};
    r = read_end64(dir, file, end, err);
    if (r)
        return r;
    if (!within(file, dir->offset, dir->size))
        return vj_fail(err, -EINVAL,
                       "ZIP directory: %" PRIu64 " bytes at offset %" PRIu64
                       " do not lie within the file of %zu bytes",
                       dir->size, dir->offset, file.size);
    if (dir->entries > MEMBERS_MAX)
        return vj_fail(err, -E2BIG, "ZIP directory: %" PRIu64 " members; at most %d are read",
                       dir->entries, MEMBERS_MAX);
    if (dir->entries > dir->size / ENTRY_SIZE)
        return vj_fail(err, -EINVAL,
                       "ZIP directory: %" PRIu64 " members cannot be listed in %" PRIu64 " bytes",
                       dir->entries, dir->size);
    return 0;
}

/* What a directory entry says of its member. */
struct entry {
    uint64_t packed, size, offset;
    uint32_t crc;
};

/* Sizes that do not fit 32 bits (or are said not to) stand in an extra field, in this order. */
static bool read_zip64(struct entry *e, const uint8_t *extra, size_t size)
{
    uint64_t *const wide[] = {&e->size, &e->packed, &e->offset};
    bool needed = false;
    for (int i = 0; i < 3; i++)
        needed |= *wide[i] == UINT32_MAX;
    if (!needed)
        return true;
    for (size_t at = 0; size - at >= 4;) {
        size_t id = (size_t)little(extra + at, 2), length = (size_t)little(extra + at + 2, 2);
        at += 4;
        if (length > size - at)
            return false;
        if (id != EXTRA_ZIP64) {
            at += length;
            continue;
        }
        for (int i = 0; i < 3; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (length < 8)
                return false;
            *wide[i] = little(extra + at, 8);
            at += 8;
            length -= 8;
        }
        return true;
    }
    return false;
}

/* Finds the member's bytes behind its local header and checks them. */
static int locate(struct vj_zip_member *m, const struct entry *e, struct vj_span file,
                  struct vj_error *err)
{
    int shown = m->name.size < 80 ? (int)m->name.size : 80;
    const char *name = (const char *)m->name.data;
    if (!within(file, e->offset, LOCAL_SIZE) || u32(file.data + e->offset) != local_mark)
        return vj_fail(err, -EINVAL, "ZIP member %.*s: no header at offset %" PRIu64, shown, name,
                       e->offset);
    const uint8_t *local = file.data + e->offset;
    uint64_t at = e->offset + LOCAL_SIZE + little(local + 26, 2) + little(local + 28, 2);
    if (!within(file, at, e->size))
        return vj_fail(err, -EINVAL,
                       "ZIP member %.*s: %" PRIu64 " bytes at offset %" PRIu64
                       " do not lie within the file of %zu bytes",
                       shown, name, e->size, at, file.size);
    m->data = (struct vj_span){file.data + at, (size_t)e->size};
    uint32_t crc = (uint32_t)crc32_z(0, m->data.data, m->data.size);
    if (crc != e->crc)
        return vj_fail(err, -EINVAL,
                       "ZIP member %.*s: its CRC-32 is %08" PRIx32
                       ", the archive records %08" PRIx32 ": the file is damaged",
                       shown, name, crc, e->crc);
    return 0;
}

/* Reads one entry of the directory's rest and moves on. */
static int read_entry(struct vj_zip_member *m, struct vj_span *rest, uint64_t *total,
                      struct vj_span file, struct vj_error *err)
{
    const uint8_t *at = rest->data;
    if (rest->size < ENTRY_SIZE || u32(at) != entry_mark)
        return vj_fail(err, -EINVAL, "ZIP directory: an entry is cut off or not one");
    size_t name = (size_t)little(at + 28, 2), extra = (size_t)little(at + 30, 2);
    size_t all = ENTRY_SIZE + name + extra + (size_t)little(at + 32, 2);
    if (all > rest->size)
        return vj_fail(err, -EINVAL, "ZIP directory: an entry of %zu bytes is cut off", all);
    m->name = (struct vj_span){at + ENTRY_SIZE, name};
    *rest = (struct vj_span){at + all, rest->size - all};

    int shown = name < 80 ? (int)name : 80;
    struct entry e = {
        .crc = u32(at + 16), .packed = u32(at + 20), .size = u32(at + 24), .offset = u32(at + 42)};
    if (little(at + 8, 2) & FLAG_ENCRYPTED)
        return vj_fail(err, -ENOTSUP, "ZIP member %.*s is encrypted", shown, m->name.data);
    if (little(at + 10, 2) != 0)
        return vj_fail(err, -ENOTSUP,
                       "ZIP member %.*s is compressed (method %u); torch.save() stores its members "
                       "plainly, give the file as it was saved",
                       shown, m->name.data, (unsigned)little(at + 10, 2));
    if (!read_zip64(&e, at + ENTRY_SIZE + name, extra) || e.packed != e.size)
        return vj_fail(err, -EINVAL, "ZIP member %.*s: its sizes contradict each other", shown,
                       m->name.data);
    if (e.size > file.size || *total > file.size - e.size)
        return vj_fail(err, -EINVAL,
                       "ZIP member %.*s: with its %" PRIu64
                       " bytes the members are larger than the file of %zu bytes",
                       shown, m->name.data, e.size, file.size);
    *total += e.size;
    return locate(m, &e, file, err);
}

int vj_zip_list(struct vj_zip *zip, struct vj_span file, struct vj_error *err)
{
    struct directory dir = {0};
    int r = read_directory(&dir, file, err);
    if (r)
        return r;
    struct vj_span rest = {file.data + dir.offset, (size_t)dir.size};
    uint64_t total = 0;
    zip->member = vj_calloc((size_t)dir.entries, sizeof(*zip->member));
    if (!zip->member)
        return vj_fail(err, -ENOMEM, "out of memory for %" PRIu64 " ZIP members", dir.entries);
    for (uint64_t i = 0; !r && i < dir.entries; i++)
        r = read_entry(&zip->member[zip->count++], &rest, &total, file, err);
    return r;
}

void vj_zip_free(struct vj_zip *zip)
{
    free(zip->member);
    *zip = (struct vj_zip){0};
}

const struct vj_zip_member *vj_zip_find(const struct vj_zip *zip, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < zip->count; i++) {
        struct vj_span own = zip->member[i].name;
        if (own.size == size && memcmp(own.data, name, size) == 0)
            return &zip->member[i];
    }
    return NULL;
}
