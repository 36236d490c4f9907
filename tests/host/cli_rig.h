/* SPDX-License-Identifier: MIT */
/* The program in a folder of its own, with two pictures, a torn one, weights and a configuration.
 */
#ifndef VJ_TESTS_CLI_RIG_H
#define VJ_TESTS_CLI_RIG_H

#include "tests/vj_test.h"

#include <sys/wait.h>

#include "host/image.h"

static char *folder;

/* Runs a shell line in the folder with $V the program; output and status come back. */
static int shell(const char *line, char *output, size_t size)
{
    char command[8192];
    snprintf(command, sizeof(command), "cd '%s' && V='%s' && { %s ; } 2>&1 < /dev/null", folder,
             VJ_PROGRAM, line);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t used = fread(output, 1, size - 1, pipe);
    output[used] = '\0';
    char rest[4096];
    while (fread(rest, 1, sizeof(rest), pipe) > 0)
        continue;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_picture(const char *name, size_t width, size_t height, int phase)
{
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(vj_image_alloc(&img, width, height, 3, &err), 0);
    for (size_t i = 0; i < width * height * 3; i++) {
        size_t x = i / 3 % width, y = i / 3 / width;
        img.data[i] = (uint8_t)(128 + (x * x / 9 + y * (3 + (size_t)phase) + i % 3 * 20) % 100);
    }
    if (vj_image_write_png(&img, path, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

static int set_up(void **state)
{
    (void)state;
    char output[4096];
    folder = vj_test_mkdir();
    write_picture("a.png", 150, 140, 0);
    write_picture("b.png", 140, 131, 5);
    return shell(
        "mkdir set && cp a.png b.png set && echo torn > set/c.png && "
        "printf 'image,candidates,qf_true,fold\\na.png,,30,1\\nb.png,,50,2\\n' > two.csv && "
        "$V init --variant figure --seed 1 --patch-size 32 --patches 2 -o w.h5 && "
        "printf 'dataset = \"manifest\";\\nroot = \"two.csv\";\\n' > run.cfg",
        output, sizeof(output));
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

#endif
