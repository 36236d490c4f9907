/* SPDX-License-Identifier: MIT */
#include "host/synth_photos.h"

#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "host/checked.h"
#include "host/rng.h"

void vj_photos_free(struct vj_photos *photos)
{
    for (size_t i = 0; i < photos->count; i++) {
        free(photos->photo[i].path);
        free(photos->photo[i].name);
        free(photos->photo[i].refusal);
    }
    free(photos->photo);
    free(photos->window);
    memset(photos, 0, sizeof(*photos));
}

/* ---- which files ---- */

static int add_photo(struct vj_photos *photos, const char *path, const char *name,
                     struct vj_error *err)
{
    struct vj_photo *grown = reallocarray(photos->photo, photos->count + 1, sizeof(*photos->photo));
    if (!grown)
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    photos->photo = grown;
    struct vj_photo *photo = &photos->photo[photos->count++];
    *photo = (struct vj_photo){.path = strdup(path), .name = strdup(name)};
    if (!photo->path || !photo->name)
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    return 0;
}

static int add_folder(struct vj_photos *photos, const char *folder, size_t root_length, int depth,
                      struct vj_error *err);

/* root_length: characters of the path that stand for the option's folder and its slash */
static int add_entry(struct vj_photos *photos, const char *folder, const char *name,
                     size_t root_length, int depth, struct vj_error *err)
{
    char *path;
    int64_t size; /* without one, as of a link that leads nowhere, reading says why */
    int rc = vj_text(&path, err, "%s/%s", folder, name);
    if (rc)
        return rc;
    if (vj_is_folder(path)) {
        if (*name != '_')
            rc = add_folder(photos, path, root_length, depth + 1, err);
    } else if (vj_is_picture_name(name) && vj_file_size(path, &size) != -EINVAL) {
        rc = add_photo(photos, path, path + root_length, err);
    }
    free(path);
    return rc;
}

static bool holds_name(const struct vj_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

static int add_folder(struct vj_photos *photos, const char *folder, size_t root_length, int depth,
                      struct vj_error *err)
{
    if (depth > VJ_PHOTO_DEPTH)
        return vj_fail(err, -ELOOP, "%s: more than %d folders deep; is there a loop of links?",
                       folder, VJ_PHOTO_DEPTH);
    struct vj_names names;
    int rc = vj_names_list(&names, folder, NULL, err);
    bool ours = holds_name(&names, VJ_SYNTH_MARKER);
    for (size_t i = 0; i < names.count && !rc && !ours; i++)
        rc = add_entry(photos, folder, names.name[i], root_length, depth, err);
    vj_names_free(&names);
    return rc;
}

int vj_photos_add(struct vj_photos *photos, const char *path, struct vj_error *err)
{
    int64_t size;
    const char *slash = strrchr(path, '/');
    if (!vj_is_folder(path)) {
        int rc = vj_file_size(path, &size);
        if (rc)
            return vj_fail(err, rc, "--photos %s: %s; name a picture file or a folder of them",
                           path, strerror(-rc));
        return add_photo(photos, path, slash ? slash + 1 : path, err);
    }
    size_t before = photos->count;
    int rc = add_folder(photos, path, strlen(path) + 1, 1, err);
    if (!rc && photos->count == before)
        rc = vj_fail(err, -ENOENT,
                     "--photos %s: holds no photograph (jpg, jpeg, png, bmp, ppm, pgm), nor do the "
                     "folders in it; folders called _* or .* and data sets of this command are "
                     "not searched",
                     path);
    return rc;
}

/* ---- their content ---- */

static int digest(char hex[VJ_SHA256_HEX], const uint8_t *data, size_t size, struct vj_error *err)
{
    struct vj_sha256 s;
    int rc = vj_sha256_begin(&s, err);
    if (rc)
        return rc;
    rc = vj_sha256_add(&s, data, size, err);
    if (rc) {
        vj_sha256_cancel(&s);
        return rc;
    }
    return vj_sha256_end(&s, hex, err);
}

static int read_photo(struct vj_image *img, char hex[VJ_SHA256_HEX], const char *path,
                      struct vj_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    struct vj_image_info info = {0};
    memset(img, 0, sizeof(*img));
    int rc = vj_file_read(&data, &size, path, 0, err);
    if (!rc)
        rc = digest(hex, data, size, err);
    if (!rc)
        rc = vj_image_probe_memory(&info, data, size, path, err);
    if (!rc)
        rc = vj_image_read_memory(img, data, size, path, NULL, err);
    if (rc == -ENOTSUP && info.alpha) /* there is no option to blend it */
        rc = vj_fail(err, rc, "%s: has an alpha channel with transparent pixels; store it without",
                     path);
    free(data);
    if (!rc)
        rc = vj_image_to_rgb(img, err);
    if (rc)
        vj_image_free(img);
    return rc;
}

int vj_photo_read(struct vj_image *img, const struct vj_photo *photo, struct vj_error *err)
{
    char hex[VJ_SHA256_HEX];
    int rc = read_photo(img, hex, photo->path, err);
    if (!rc && strcmp(hex, photo->sha256) != 0) {
        vj_image_free(img);
        rc = vj_fail(err, -ESTALE, "%s: was changed during the run; run the command again",
                     photo->path);
    }
    return rc;
}

static bool has_control_character(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7F)
            return true;
    return false;
}

/* Fills in size and digest, or the refusal. Fails only when there is no memory. */
static int survey_photo(struct vj_photo *photo, const struct vj_window_options *opt,
                        struct vj_error *err)
{
    struct vj_image img;
    struct vj_error cause = {0};
    if (has_control_character(photo->name))
        return vj_text(&photo->refusal, err,
                       "%s: the name holds a control character, which " VJ_SYNTH_MARKER
                       " cannot list; rename it",
                       photo->path);
    int rc = read_photo(&img, photo->sha256, photo->path, &cause);
    if (rc == -ENOMEM)
        return vj_fail(err, rc, "%s", cause.text);
    if (rc)
        return vj_text(&photo->refusal, err, "%s", cause.text);
    photo->width = img.width;
    photo->height = img.height;
    vj_image_free(&img);
    if (photo->width < opt->width || photo->height < opt->height)
        return vj_text(&photo->refusal, err, "%s: %zux%zu is smaller than the window, %zux%zu",
                       photo->path, photo->width, photo->height, opt->width, opt->height);
    return 0;
}

static int survey(struct vj_photos *photos, const struct vj_window_options *opt, int threads,
                  struct vj_error *err)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < photos->count; i++) {
        struct vj_error own = {0};
        int rc = survey_photo(&photos->photo[i], opt, &own);
#pragma omp critical(vj_synth_photos)
        if (rc && !failed)
            failed = vj_fail(err, rc, "%s", own.text);
    }
    return failed;
}

/* The same bytes twice would put one photograph on both sides of a split. */
static int refuse_repeats(struct vj_photos *photos, struct vj_error *err)
{
    char **digests = vj_calloc(photos->count, sizeof(*digests));
    size_t *first = vj_calloc(photos->count, sizeof(*first));
    int rc = digests && first ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < photos->count && !rc; i++)
        digests[i] = photos->photo[i].sha256;
    if (!rc)
        rc = vj_first_equals(first, digests, photos->count, err);
    for (size_t i = 0; i < photos->count && !rc; i++) {
        struct vj_photo *photo = &photos->photo[i];
        if (!photo->refusal && first[i] != i)
            rc = vj_text(&photo->refusal, err, "%s: is the same file as %s", photo->path,
                         photos->photo[first[i]].path);
    }
    free(first);
    free(digests);
    return rc;
}

/* ---- windows ---- */

/* Largest factor that leaves a window. */
static int largest_factor(const struct vj_photo *photo, const struct vj_window_options *opt)
{
    int factor = 1;
    while (opt->shrink && factor < VJ_SHRINK_MAX &&
           photo->width / (size_t)(factor + 1) >= opt->width &&
           photo->height / (size_t)(factor + 1) >= opt->height)
        factor++;
    return factor;
}

enum {
    CONTRASTS = VJ_CONTRAST_MAX - VJ_CONTRAST_MIN + 1,
    SHARES = VJ_CLIPPED_MAX - VJ_CLIPPED_MIN + 1,
};

/* Positive towards white, negative towards black. */
static int draw_exposure(uint64_t seed, uint64_t stream, uint32_t crop)
{
    struct vj_u32x4 r = vj_random4(seed, VJ_RNG_EXPOSURE, stream, crop);
    int clipped = VJ_CLIPPED_MIN + (int)vj_random_below(r.v[1], SHARES);
    return vj_random_below(r.v[0], 2) ? clipped : -clipped;
}

static struct vj_window draw(const struct vj_photos *photos, size_t index, uint32_t crop,
                             const struct vj_window_options *opt)
{
    const struct vj_photo *photo = &photos->photo[index];
    const char *slash = strrchr(photo->path, '/');
    uint64_t stream = vj_name_hash(slash ? slash + 1 : photo->path);
    struct vj_u32x4 r = vj_random4(opt->seed, VJ_RNG_CROPS, stream, crop);
    uint32_t factor = 1 + vj_random_below(r.v[2], (uint32_t)largest_factor(photo, opt));
    size_t across = photo->width / factor - opt->width + 1;
    size_t down = photo->height / factor - opt->height + 1;
    return (struct vj_window){
        .photo = index,
        .x = vj_random_below(r.v[0], (uint32_t)across),
        .y = vj_random_below(r.v[1], (uint32_t)down),
        .factor = (int)factor,
        .clipped = opt->expose && crop % 4 >= 2 ? draw_exposure(opt->seed, stream, crop) : 0,
        .contrast = opt->fade && crop % 2 == 1
                        ? VJ_CONTRAST_MIN + (int)vj_random_below(r.v[3], CONTRASTS)
                        : VJ_CONTRAST_FULL,
        .camera = opt->camera && crop % 8 >= 4 ? vj_camera_draw(opt->seed, stream, crop)
                                               : vj_camera_none(),
    };
}

static bool same_camera(const struct vj_camera *a, const struct vj_camera *b)
{
    return a->enlarge == b->enlarge && a->grain == b->grain && a->grain_seed == b->grain_seed &&
           a->sharpen == b->sharpen && a->grey == b->grey && a->qf == b->qf &&
           a->sampling == b->sampling && a->left == b->left && a->above == b->above;
}

static bool same_window(const struct vj_window *a, const struct vj_window *b)
{
    return a->photo == b->photo && a->x == b->x && a->y == b->y && a->factor == b->factor &&
           a->clipped == b->clipped && a->contrast == b->contrast &&
           same_camera(&a->camera, &b->camera);
}

static int add_window(struct vj_photos *photos, const struct vj_window *window,
                      struct vj_error *err)
{
    struct vj_window *grown =
        reallocarray(photos->window, photos->windows + 1, sizeof(*photos->window));
    if (!grown)
        return vj_fail(err, -ENOMEM, "out of memory for %zu windows", photos->windows + 1);
    photos->window = grown;
    photos->window[photos->windows++] = *window;
    return 0;
}

/* A window drawn twice is cut once. */
static int draw_windows(struct vj_photos *photos, size_t index, const struct vj_window_options *opt,
                        struct vj_error *err)
{
    size_t first = photos->windows;
    int rc = 0;
    for (size_t crop = 0; crop < opt->crops && !rc; crop++) {
        struct vj_window window = draw(photos, index, (uint32_t)crop, opt);
        bool known = false;
        for (size_t i = first; i < photos->windows && !known; i++)
            known = same_window(&photos->window[i], &window);
        if (opt->limit && photos->windows == opt->limit)
            break;
        if (!known)
            rc = add_window(photos, &window, err);
    }
    return rc;
}

int vj_photos_plan(struct vj_photos *photos, const struct vj_window_options *opt, int threads,
                   struct vj_error *err)
{
    int rc = survey(photos, opt, threads, err);
    if (!rc)
        rc = refuse_repeats(photos, err);
    for (size_t i = 0; i < photos->count && !rc; i++) {
        if (photos->photo[i].refusal)
            photos->refused++;
        else
            rc = draw_windows(photos, i, opt, err);
    }
    return rc;
}

/* ---- pixels ---- */

static uint8_t box_mean(const uint8_t *first, size_t stride, unsigned factor)
{
    unsigned sum = 0, n = factor * factor;
    for (unsigned j = 0; j < factor; j++)
        for (unsigned i = 0; i < factor; i++)
            sum += first[j * stride + i * 3];
    return (uint8_t)((2 * sum + n) / (2 * n));
}

/* The least (sign 1) or the most (sign -1) that a sample may be to belong to the `share`/256 of all
 * samples that are brightest (darkest); with equal ones there may be more. */
static int clipping_level(const struct vj_image *window, int share, int sign)
{
    const size_t samples = window->width * window->height * 3;
    size_t count[256] = {0}, found = 0;
    for (size_t i = 0; i < samples; i++)
        count[window->data[i]]++;
    int level = sign > 0 ? 255 : 0;
    for (;; level -= sign) {
        found += count[level];
        if (found * 256 >= (size_t)share * samples)
            return level;
    }
}

static uint8_t clamped(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void expose(struct vj_image *window, int clipped)
{
    const size_t samples = window->width * window->height * 3;
    const int shift = clipped > 0 ? 255 - clipping_level(window, clipped, 1)
                                  : -clipping_level(window, -clipped, -1);
    for (size_t i = 0; i < samples; i++)
        window->data[i] = clamped(window->data[i] + shift);
}

static void fade(struct vj_image *window, int contrast)
{
    const size_t pixels = window->width * window->height;
    for (size_t c = 0; c < 3; c++) {
        uint8_t *v = window->data + c;
        uint64_t sum = 0;
        for (size_t i = 0; i < pixels; i++)
            sum += v[3 * i];
        const int mean = (int)((2 * sum + pixels) / (2 * pixels));
        const int shift = mean * (VJ_CONTRAST_FULL - contrast) + VJ_CONTRAST_FULL / 2;
        for (size_t i = 0; i < pixels; i++)
            v[3 * i] = (uint8_t)((v[3 * i] * contrast + shift) / VJ_CONTRAST_FULL);
    }
}

int vj_window_cut(struct vj_image *window, const struct vj_image *photo,
                  const struct vj_window *where, struct vj_error *err)
{
    const size_t factor = (size_t)where->factor, stride = photo->width * 3;
    for (size_t y = 0; y < window->height; y++) {
        const uint8_t *from =
            photo->data + (where->y + y) * factor * stride + where->x * factor * 3;
        uint8_t *to = window->data + y * window->width * 3;
        if (factor == 1)
            memcpy(to, from, window->width * 3);
        for (size_t i = 0; factor > 1 && i < window->width * 3; i++)
            to[i] = box_mean(from + i / 3 * factor * 3 + i % 3, stride, (unsigned)factor);
    }
    if (where->clipped)
        expose(window, where->clipped);
    if (where->contrast < VJ_CONTRAST_FULL)
        fade(window, where->contrast);
    return vj_camera_apply(window, &where->camera, err);
}
