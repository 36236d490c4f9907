/* SPDX-License-Identifier: MIT */
#include "host/pth.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checked.h"
#include "host/pth_internal.h"

static const size_t file_max = (size_t)1 << 30;

bool vj_pth_is_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".pth") == 0 || strcasecmp(dot, ".pt") == 0);
}

static int read_all(struct vj_pth *pth, int fd, struct vj_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return vj_fail(err, -errno, "cannot be examined: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vj_fail(err, -EINVAL, "is not a regular file");
    if ((uintmax_t)st.st_size > file_max)
        return vj_fail(err, -E2BIG,
                       "is of %jd bytes, at most %zu are read: save the state_dict alone",
                       (intmax_t)st.st_size, file_max);
    size_t wanted = (size_t)st.st_size;
    pth->bytes = vj_calloc(wanted, 1);
    if (!pth->bytes)
        return vj_fail(err, -ENOMEM, "out of memory for %zu bytes", wanted);
    while (pth->size < wanted) {
        ssize_t n = read(fd, pth->bytes + pth->size, wanted - pth->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vj_fail(err, -errno, "cannot be read: %s", strerror(errno));
        if (n == 0)
            break;
        pth->size += (size_t)n;
    }
    return 0;
}

static int digest(struct vj_pth *pth, struct vj_error *err)
{
    struct vj_sha256 s;
    int r = vj_sha256_begin(&s, err);
    if (r)
        return r;
    r = vj_sha256_add(&s, pth->bytes, pth->size, err);
    if (!r)
        return vj_sha256_end(&s, pth->sha256, err);
    vj_sha256_cancel(&s);
    return r;
}

/* ---- members ---- */

/* The members lie in one folder, named as the file once was. */
struct archive {
    struct vj_zip zip;
    char folder[256]; /* with its slash */
};

static const struct vj_zip_member *find_member(const struct archive *a, const char *name, size_t n)
{
    char path[512];
    if (n > 128)
        return NULL;
    snprintf(path, sizeof(path), "%s%.*s", a->folder, (int)n, name);
    return vj_zip_find(&a->zip, path);
}

/* data.pkl, wherever it lies, says which folder it is. */
static int find_pickle(struct archive *a, struct vj_span *pickle, struct vj_error *err)
{
    static const char suffix[] = "/data.pkl";
    const size_t n = sizeof(suffix) - 1;
    const struct vj_zip_member *found = NULL;
    for (size_t i = 0; i < a->zip.count; i++) {
        const struct vj_zip_member *m = &a->zip.member[i];
        if (m->name.size < n || memcmp(m->name.data + m->name.size - n, suffix, n) != 0)
            continue;
        if (found)
            return vj_fail(err, -EINVAL, "holds two members data.pkl");
        found = m;
    }
    if (!found)
        return vj_fail(err, -EINVAL,
                       "is a ZIP archive without data.pkl: not a file of torch.save()");
    size_t folder = found->name.size - n + 1;
    if (folder >= sizeof(a->folder) || memchr(found->name.data, '\0', folder))
        return vj_fail(err, -EINVAL, "data.pkl: the name of its folder is longer than %zu bytes",
                       sizeof(a->folder) - 1);
    memcpy(a->folder, found->name.data, folder);
    *pickle = found->data;
    return 0;
}

static int check_byte_order(const struct archive *a, struct vj_error *err)
{
    const char name[] = "byteorder";
    const struct vj_zip_member *m = find_member(a, name, strlen(name));
    if (m && (m->data.size != 6 || memcmp(m->data.data, "little", 6) != 0))
        return vj_fail(err, -ENOTSUP,
                       "byteorder: '%.*s', only files written on little-endian machines are read",
                       m->data.size < 20 ? (int)m->data.size : 20, m->data.data);
    return 0;
}

/* ---- tensors ---- */

/* Number of values; an error where they do not lie one after the other. */
static int count_values(struct vj_pth_tensor *t, const struct vj_pickle_tensor *from,
                        struct vj_error *err)
{
    size_t count = 1;
    t->rank = from->rank;
    for (int i = t->rank - 1; i >= 0; i--) {
        t->shape[i] = (size_t)from->shape[i];
        if (t->shape[i] > 1 && from->stride[i] != count)
            return vj_fail(err, -ENOTSUP,
                           "tensor %s: dimension %d has the stride %" PRIu64
                           ", not %zu: it is not contiguous; save it after contiguous()",
                           t->name, i, from->stride[i], count);
        if (!vj_size_mul(count, t->shape[i], &count))
            return vj_fail(err, -EINVAL, "tensor %s: its size is beyond all memory", t->name);
    }
    t->count = count;
    return 0;
}

static int find_values(struct vj_pth_tensor *t, const struct vj_pickle_tensor *from,
                       const struct archive *a, struct vj_error *err)
{
    char name[160];
    int n = from->storage.size > 100
                ? -1
                : snprintf(name, sizeof(name), "data/%.*s", (int)from->storage.size,
                           (const char *)from->storage.data);
    const struct vj_zip_member *m = n < 0 ? NULL : find_member(a, name, (size_t)n);
    if (!m)
        return vj_fail(err, -EINVAL, "tensor %s: its member data/%.*s is missing", t->name,
                       from->storage.size < 40 ? (int)from->storage.size : 40, from->storage.data);
    uint64_t values = m->data.size / sizeof(float);
    if (m->data.size % sizeof(float) || from->storage_values != values)
        return vj_fail(err, -EINVAL,
                       "tensor %s: its member %s has %zu bytes, data.pkl says %" PRIu64
                       " float32 numbers",
                       t->name, name, m->data.size, from->storage_values);
    if (from->offset > values || t->count > values - from->offset)
        return vj_fail(err, -EINVAL,
                       "tensor %s: %zu numbers from number %" PRIu64
                       " on do not lie within the %" PRIu64 " of member %s",
                       t->name, t->count, from->offset, values, name);
    t->data = m->data.data + from->offset * sizeof(float);
    return 0;
}

static int take_tensor(struct vj_pth_tensor *t, const struct vj_pickle_tensor *from,
                       const struct archive *a, struct vj_error *err)
{
    static const char prefix[] = "module."; /* of networks that were trained on several GPUs */
    struct vj_span name = from->name;
    const size_t n = sizeof(prefix) - 1;
    if (name.size > n && memcmp(name.data, prefix, n) == 0)
        name = (struct vj_span){name.data + n, name.size - n};
    snprintf(t->name, sizeof(t->name), "%.*s",
             (int)(name.size < sizeof(t->name) ? name.size : sizeof(t->name) - 1),
             (const char *)name.data);
    for (char *c = t->name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?'; /* names are printed */
    int r = count_values(t, from, err);
    return r ? r : find_values(t, from, a, err);
}

static int read_archive(struct vj_pth *pth, struct archive *a, struct vj_error *err)
{
    struct vj_span pickle = {0};
    struct vj_pickle_tensor *list = NULL;
    size_t count = 0;
    int r = vj_zip_list(&a->zip, (struct vj_span){pth->bytes, pth->size}, err);
    if (!r)
        r = find_pickle(a, &pickle, err);
    if (!r)
        r = check_byte_order(a, err);
    if (!r)
        r = vj_pickle_tensors(&list, &count, pickle, err);
    if (!r) {
        pth->tensor = vj_calloc(count, sizeof(*pth->tensor));
        r = pth->tensor ? 0 : vj_fail(err, -ENOMEM, "out of memory for %zu tensors", count);
    }
    for (size_t i = 0; !r && i < count; i++)
        r = take_tensor(&pth->tensor[pth->count++], &list[i], a, err);
    free(list);
    return r;
}

int vj_pth_open(struct vj_pth *pth, const char *path, struct vj_error *err)
{
    struct archive a = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would block */
    if (fd < 0)
        return vj_fail(err, -errno, "%s: cannot be opened: %s", path, strerror(errno));
    int r = read_all(pth, fd, err);
    close(fd);
    if (!r)
        r = digest(pth, err);
    if (!r)
        r = read_archive(pth, &a, err);
    vj_zip_free(&a.zip);
    if (r)
        vj_fail_prefix(err, "%s", path);
    return r;
}

void vj_pth_close(struct vj_pth *pth)
{
    free(pth->tensor);
    free(pth->bytes);
    *pth = (struct vj_pth){0};
}
