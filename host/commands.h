/* SPDX-License-Identifier: MIT */
/*
 * Subcommands of the program, one file each (cmd_<name>.c). argv[0] is "vpjnd <name>".
 * They return the exit status: VJ_EXIT_OK, VJ_EXIT_SOME_FAILED or VJ_EXIT_USAGE.
 */
#ifndef VJ_HOST_COMMANDS_H
#define VJ_HOST_COMMANDS_H

enum {
    VJ_EXIT_OK = 0,
    VJ_EXIT_SOME_FAILED = 1, /* some images failed; they are listed on standard error */
    VJ_EXIT_USAGE = 2,       /* wrong usage, or nothing could be done */
};

int vj_cmd_eval(int argc, char **argv);
int vj_cmd_predict(int argc, char **argv);
int vj_cmd_map(int argc, char **argv);
int vj_cmd_candidates(int argc, char **argv);
int vj_cmd_import(int argc, char **argv);
int vj_cmd_init(int argc, char **argv);
int vj_cmd_synth(int argc, char **argv);
int vj_cmd_devices(int argc, char **argv);
int vj_cmd_train(int argc, char **argv);
int vj_cmd_report(int argc, char **argv);
int vj_cmd_compare(int argc, char **argv);

#endif
