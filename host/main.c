/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/commands.h"
#include "host/version.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"eval", vj_cmd_eval, "evaluate predictors on a data set; writes a results file"},
    {"predict", vj_cmd_predict, "predict the PW-JND quality factor of pictures"},
    {"map", vj_cmd_map, "write the pixel-wise JND map of a picture"},
    {"candidates", vj_cmd_candidates, "write exact JPEG candidates of pictures and their sizes"},
    {"import", vj_cmd_import, "turn a TensorFlow checkpoint or a PyTorch file into a weight file"},
    {"init", vj_cmd_init, "write fresh random weights"},
    {"synth", vj_cmd_synth,
     "write procedural pictures or windows of photographs, labelled by a synthetic observer"},
    {"train", vj_cmd_train, "train VP-JNDnet or PW-JND on the labels of a data set"},
    {"devices", vj_cmd_devices, "list devices: compiled, found, usable, and why not"},
    {"report", vj_cmd_report, "print the tables of a results file"},
    {"compare", vj_cmd_compare, "print the predictors of several results files in one table"},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

/* A full disk behind a pipe or a redirection must not pass for success. */
static int close_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fputs("vpjnd: cannot write to standard output; is the disk full?\n", stderr);
    return VJ_EXIT_USAGE;
}

static void usage(FILE *out)
{
    fputs("Usage: vpjnd COMMAND [OPTION...]\n\n"
          "Batch evaluation of picture-wise just noticeable difference (PW-JND) models.\n\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
    fputs("\n`vpjnd COMMAND --help` explains a command. Exit status: 0 all done, 1 some images\n"
          "failed (they are listed), 2 wrong usage or set-up.\n",
          out);
}

/*
 * Descriptors 0 to 2 that the caller closed would be given to the next files opened, and messages
 * would be written into results.
 */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    char help[] = "--help";
    open_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that grew too large is an error like a full disk */
    argp_err_exit_status = VJ_EXIT_USAGE;
    if (argc < 2) {
        usage(stderr);
        return VJ_EXIT_USAGE;
    }
    if (argc == 3 && strcmp(argv[1], "help") == 0) {
        argv[1] = argv[2];
        argv[2] = help;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return VJ_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("vpjnd %s\n", VJ_VERSION);
        return VJ_EXIT_OK;
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        char name[64]; /* what argp prints in front of its messages */
        snprintf(name, sizeof(name), "vpjnd %s", commands[i].name);
        argv[1] = name;
        return close_output(commands[i].run(argc - 1, argv + 1));
    }
    fprintf(stderr, "vpjnd: unknown command '%s'; `vpjnd --help` lists them\n", argv[1]);
    return VJ_EXIT_USAGE;
}
