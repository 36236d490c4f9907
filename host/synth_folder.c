/* SPDX-License-Identifier: MIT */
#include "host/synth_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/files.h"
#include "host/synth_observer.h"
#include "host/version.h"

#define MARKER_MAX ((size_t)1 << 27) /* as in datasets/synthetic.c */

size_t vj_synth_count(const struct vj_synth_set *set)
{
    return set->procedural + (set->photos ? set->photos->windows : 0);
}

/* ---- files ---- */

static int make_folder_in(const char *root, const char *name, struct vj_error *err)
{
    char *path;
    int rc = vj_text(&path, err, "%s/%s", root, name);
    if (!rc)
        rc = vj_make_folder(path, err);
    free(path);
    return rc;
}

static bool is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool empty = true;
    for (const struct dirent *e; empty && (e = readdir(dir));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

/* ---- the marker ---- */

static void list_camera(FILE *out, const struct vj_camera *camera)
{
    if (camera->enlarge > VJ_ENLARGE_NONE)
        fprintf(out, " enlarged %d/16", camera->enlarge);
    if (camera->grain)
        fprintf(out, " grain %d/16", camera->grain);
    if (camera->sharpen)
        fprintf(out, " sharpened %d/16", camera->sharpen);
    if (camera->grey)
        fputs(" grey", out);
    if (camera->qf)
        fprintf(out, " jpeg %d %d left %d above %d", camera->qf, camera->sampling, camera->left,
                camera->above);
}

/*
 * Every photograph and, below it, its windows. The digests are settings too: a file that has
 * changed gives another set.
 */
static void list_windows(FILE *out, const struct vj_synth_set *set)
{
    const struct vj_photos *photos = set->photos;
    for (size_t i = 0; i < photos->windows; i++) {
        const struct vj_window *w = &photos->window[i];
        const struct vj_photo *photo = &photos->photo[w->photo];
        if (i == 0 || w->photo != w[-1].photo)
            fprintf(out, "photograph = %zux%zu sha256 %s %s\n", photo->width, photo->height,
                    photo->sha256, photo->name);
        fprintf(out, "window = %zu x %zu y %zu factor %d", set->procedural + i + 1, w->x, w->y,
                w->factor);
        if (w->clipped)
            fprintf(out, " %s %d/256", w->clipped > 0 ? "white" : "black", abs(w->clipped));
        if (w->contrast < VJ_CONTRAST_FULL)
            fprintf(out, " contrast %d/%d", w->contrast, VJ_CONTRAST_FULL);
        list_camera(out, &w->camera);
        fprintf(out, " of %s\n", photo->name);
    }
}

/*
 * What decides the files' content: a folder may be filled again only with the same. The line
 * `procedural` keeps the settings of a set without photographs from being a part of these.
 */
static void print_settings(FILE *out, const struct vj_synth_set *set)
{
    fprintf(out, "observer = " VJ_OBSERVER_RULE "\n");
    if (set->photos)
        fprintf(out, "procedural = %zu\nwindows = %zu\n", set->procedural, set->photos->windows);
    fprintf(out, "count = %zu\nsize = %zux%zu\nseed = %llu\n", vj_synth_count(set), set->width,
            set->height, (unsigned long long)set->seed);
    if (!set->photos)
        return;
    fprintf(out, "crops = %zu\nshrink = %s\nfade = %s\nexpose = %s\ncamera = %s\n", set->crops,
            set->shrink ? "yes" : "no", set->fade ? "yes" : "no", set->expose ? "yes" : "no",
            set->camera ? "yes" : "no");
    list_windows(out, set);
}

static int settings_text(char **text, const struct vj_synth_set *set, struct vj_error *err)
{
    size_t size;
    FILE *out = open_memstream(text, &size);
    if (!out) {
        *text = NULL;
        return vj_fail(err, -ENOMEM, "out of memory");
    }
    print_settings(out, set);
    bool good = !ferror(out);
    if (fclose(out) != 0 || !good)
        return vj_fail(err, -ENOMEM, "out of memory");
    return 0;
}

static const char *heading(const struct vj_synth_set *set)
{
    if (!set->photos)
        return "# Procedural pictures with labels from a synthetic observer.\n"
               "# These are NOT human data: nobody has looked at these pictures.\n";
    return "# Windows of photographs (numbers above `procedural`; procedural pictures below) with\n"
           "# labels from a synthetic observer. The labels are NOT human data: nobody was asked.\n"
           "# x and y: upper left corner in the photograph reduced by the factor. white, black: "
           "the\n"
           "# share of samples that is, where brightness was changed. contrast: what is left of\n"
           "# it, where it was lowered. Behind it what was done as cameras do: enlarged; grain, "
           "its\n"
           "# standard deviation in levels; sharpened; grey; jpeg: QF, 4:2:0 or 4:4:4, and pixels\n"
           "# of that file beside and above the window.\n";
}

static int marker_text(char **text, const char *settings, const struct vj_synth_set *set,
                       struct vj_error *err)
{
    return vj_text(text, err, "%s%sprogram = vpjnd " VJ_VERSION "\n", heading(set), settings);
}

static int check_marker(const char *folder, const char *path, const char *settings,
                        struct vj_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    if (vj_file_read(&data, &size, path, MARKER_MAX, NULL) != 0)
        return vj_fail(err, -EEXIST,
                       "%s: is not empty and has no " VJ_SYNTH_MARKER
                       "; name an empty or a new folder",
                       folder);
    bool same = memmem(data, size, settings, strlen(settings)) != NULL;
    free(data);
    if (!same)
        return vj_fail(err, -EEXIST,
                       "%s: holds a synthetic data set of other settings (see %s); name another "
                       "folder, or remove this one",
                       folder, path);
    return 0;
}

static int make_layout(const struct vj_synth_set *set, struct vj_error *err)
{
    int rc = make_folder_in(set->folder, "source_images", err);
    if (!rc)
        rc = make_folder_in(set->folder, "source_images/[BMP]", err);
    if (!rc)
        rc = make_folder_in(set->folder, "SQF_data", err);
    if (!rc && set->files)
        rc = make_folder_in(set->folder, "distorted_image", err);
    return rc;
}

int vj_synth_prepare(const struct vj_synth_set *set, struct vj_error *err)
{
    char *marker = NULL, *settings = NULL, *text = NULL;
    int rc = vj_text(&marker, err, "%s/" VJ_SYNTH_MARKER, set->folder);
    if (!rc)
        rc = settings_text(&settings, set, err);
    if (!rc)
        rc = marker_text(&text, settings, set, err);
    if (!rc)
        rc = vj_make_folder(set->folder, err);
    if (!rc && !is_empty_folder(set->folder))
        rc = check_marker(set->folder, marker, settings, err);
    if (!rc)
        rc = vj_file_write(marker, text, strlen(text), err);
    if (!rc)
        rc = make_layout(set, err);
    free(text);
    free(settings);
    free(marker);
    return rc;
}

/* ---- one picture ---- */

static int write_source(const struct vj_synth_set *set, const struct vj_image *picture, size_t id,
                        struct vj_error *err)
{
    char *path;
    int rc = vj_text(&path, err, "%s/source_images/[BMP]/ImageJND_SRC%02zu.bmp", set->folder, id);
    if (!rc)
        rc = vj_image_write_bmp(picture, path, err);
    free(path);
    return rc;
}

/* A stair function of one drop, or of none. */
static int write_label(const struct vj_synth_set *set, size_t id, int jnd, struct vj_error *err)
{
    char *path, text[64];
    if (jnd == VJ_QF_UNKNOWN)
        snprintf(text, sizeof(text), "%d\n1\n", VJ_OBSERVER_ANCHOR_QF);
    else
        snprintf(text, sizeof(text), "%d %d\n1 0\n", VJ_OBSERVER_ANCHOR_QF, jnd);
    int rc = vj_text(&path, err, "%s/SQF_data/Image_%zu_l_h.txt", set->folder, id);
    if (!rc)
        rc = vj_file_write(path, text, strlen(text), err);
    free(path);
    return rc;
}

static int write_candidate(const struct vj_synth_set *set, const struct vj_image *picture,
                           size_t id, int qf, struct vj_error *err)
{
    char *path;
    uint8_t *data = NULL;
    size_t size;
    int rc = vj_text(&path, err, "%s/distorted_image/ImageJND_SRC%02zu/ImageJND_SRC%02zu_%03d.jpg",
                     set->folder, id, id, qf);
    if (!rc)
        rc = vj_jpeg_encode(&data, &size, picture, qf, VJ_SUBSAMPLING_420, err);
    if (!rc)
        rc = vj_file_write(path, data, size, err);
    free(data);
    free(path);
    return rc;
}

static int write_candidates(const struct vj_synth_set *set, const struct vj_image *picture,
                            size_t id, struct vj_error *err)
{
    char *folder;
    int rc = vj_text(&folder, err, "%s/distorted_image/ImageJND_SRC%02zu", set->folder, id);
    if (!rc)
        rc = vj_make_folder(folder, err);
    for (int qf = 1; qf <= VJ_QF_MAX && !rc; qf++)
        rc = write_candidate(set, picture, id, qf, err);
    free(folder);
    return rc;
}

int vj_synth_write(const struct vj_synth_set *set, const struct vj_image *picture, size_t id,
                   int jnd, struct vj_error *err)
{
    int rc = write_source(set, picture, id, err);
    if (!rc && set->files)
        rc = write_candidates(set, picture, id, err);
    if (!rc)
        rc = write_label(set, id, jnd, err);
    return rc;
}
