/* SPDX-License-Identifier: MIT */
/* The program as a user meets it: command lines, exit statuses, what is printed, killed runs. */
#include "tests/host/cli_rig.h"

#include <errno.h>
#include <signal.h>

#include "host/results.h"
#include "host/weights.h"

#define ALPHA VJ_TEST_GOLDEN "/image/rgb_alpha.png"

static void command_lines_end_with_the_right_status_and_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *text;
    } cases[] = {
        {"$V", 2, "Usage: vpjnd COMMAND"},
        {"$V --help", 0, "Exit status: 0 all done, 1 some images"},
        {"$V --version", 0, "vpjnd "},
        {"$V dance", 2, "unknown command 'dance'"},
        {"n=$(printf 'x\\033y.png'); cp a.png \"$n\"; printf \"image,qf_true\\n$n,30\\n\" > "
         "esc.csv; "
         "$V train --set dataset=manifest --set root=esc.csv --set patch_size=256 -o t.h5",
         2, "training picture x?y.png: "},
        {"$V eval --config run.cfg -o \"$(printf 'x\\033y/r.h5')\"", 2,
         "output x?y/r.h5: its folder"},
        {"$V map \"$(printf 'z\\033y.png')\" -o t.png", 1, "z?y.png"},
        {"$V predict --weights w.h5 \"$(printf 'z\\033y.png')\"", 1, "z?y.png"},
        {"$V eval --help", 0, "qf_first"},
        {"$V predict --help", 0, "IMAGE|FOLDER..."},
        {"$V eval --help", 0, "none; empty = data set's default []"},
        {"$V map --help", 0, "--model"},
        {"$V candidates --help", 0, "--qf=LIST"},
        {"$V import --help", 0, "PREFIX"},
        {"$V init --help", 0, "--variant=NAME"},
        {"$V synth --help", 0, "--count"},
        {"$V devices --help", 0, "Lists the devices"},
        {"$V report --help", 0, "--json"},
        {"$V compare --help", 0, "--against=PREDICTOR"},
        {"$V devices", 0, "oneDNN"},
        {"$V eval", 2, "say where to write the results: -o FILE.h5"},
        {"$V eval --set root -o r.h5", 2, "is not of the form key=value"},
        {"$V eval --set qf_frist=3 -o r.h5", 2, "did you mean 'qf_first'?"},
        {"$V eval --root=a -o r.h5", 2, "vpjnd eval: option root is given as --set root=VALUE"},
        {"$V eval --qf-first 5 -o r.h5", 2, "option qf_first is given as --set qf_first=VALUE"},
        {"$V predict --search first-crossing a.png", 2, "is given as --set search=VALUE"},
        {"$V train --steps=3 -o r.h5", 2, "vpjnd train: option steps is given as --set"},
        {"$V eval --steps=3 -o r.h5", 2, "unrecognized option '--steps=3'"},
        {"$V eval --config absent.cfg -o r.h5", 2, "cannot open configuration file absent.cfg"},
        {"$V eval --set dataset=manifest --set root=absent.csv -o r.h5", 2, "absent.csv"},
        {"$V eval --config run.cfg -o absent/r.h5", 2,
         "output absent/r.h5: its folder absent: No such file or directory"},
        {"$V eval --config run.cfg --device cuda:99 -o r.h5", 2, "cuda"},
        {"$V eval --config run.cfg --jnd 4 -o r.h5", 2, "option jnd"},
        {"$V eval --config run.cfg --jnd 2 -o r.h5", 2, "'manifest' knows only JND 1"},
        {"$V synth --count 1 --size 176x176 -o syn && $V eval --set dataset=synthetic --set "
         "root=syn --set candidates=synthesize --jnd 2 -o r.h5",
         2,
         "no image of this run has a label of JND 2, which the constant is the median of; evaluate "
         "a JND that is labelled, as with --jnd 1, or name other predictors"},
        {"$V train --set dataset=synthetic --set root=syn --set candidates=synthesize --set jnd=2 "
         "-o t.h5",
         2, "has no picture with a label of JND 2 to train with (options jnd, ids, fold, labels)"},
        {"$V eval --config run.cfg --set sur=bell -o r.h5", 2,
         "option sur: 'bell' is not one of empirical,normal,gev"},
        {"$V eval --config run.cfg --set sur=gev -o r.h5", 2,
         "sur=gev fits a curve to the subjects' answers, and data set manifest at"},
        {"$V eval --config run.cfg --set predictors=pixel-chou95:0.1,pixel-chou95-paper:0.1,"
         "pixel-yang05:0.1,pixel-yang05-paper:0.1,pixel-fep13:0.1,pixel-epc17:0.1,"
         "pixel-epc17-paper:0.1,pixel-klt22:0.1,pixel-liu10:0.1 -o r.h5",
         2,
         "option predictors: more than 8 pixel-JND maps in one run, liu10 being one more; leave "
         "some out"},
        {"$V eval --config run.cfg extra -o r.h5", 2, "unexpected argument 'extra'"},
        {"$V eval --config run.cfg --set qf_last=20 -o one.h5", 0, "constant"},
        {"$V eval --help", 0, "vpjnd-folds:PATTERN"},
        {"$V eval --config run.cfg --folds w.h5 -o f.h5", 2,
         "'w.h5' has no {fold} in it; the option folds"},
        {"$V eval --config run.cfg --folds 'w-{fold.h5' -o f.h5", 2,
         "predictor vpjnd-folds: 'w-{fold.h5': unknown placeholder at '{fold.h5'"},
        {"$V eval --config run.cfg --folds 'a,{fold}' -o f.h5", 2, "'a,{fold}' has a comma"},
        {"$V eval --config run.cfg --folds 'w-{fold}.h5' -o f.h5", 2,
         "no image has a test fold, which says what file scores it"},
        {"$V eval --config run.cfg --set folds=manifest --folds 'w-{fold}.h5' -o f.h5", 2,
         "are missing: w-1.h5, w-2.h5"},
        {"cp w.h5 w-1.h5; cp w.h5 w-2.h5; $V eval --config run.cfg --folds 'w-{fold}.h5' --set "
         "folds=manifest --set predictors=psnr-threshold --set qf_last=9 -o f.h5",
         0, "Throughput only (random weights)\n\npredictor  images/s\n"},
        {"$V report f.h5", 0,
         "\npatches       2 of 32x32 pixels from each picture, drawn independently, 1 draw\n"},
        {"$V compare one.h5 f.h5 --force", 0, "; patches:"},
        {"$V report --json f.h5", 0, "\"name\": \"vpjnd-w\""},
        {"$V report --json f.h5", 0, "\"name\": \"psnr-threshold\""},
        {"$V report --json f.h5", 0,
         "each image scored by the network of its fold; 2 weight files"},
        {"$V eval --set dataset=folder --set root=set --set predictors=psnr-threshold "
         "--set qf_last=9 -o part.h5",
         1, "1 of 3 images failed"},
        {"$V report absent.h5", 2, "cannot open results file absent.h5"},
        {"$V report a.png", 2, "a.png is not a readable HDF5 file"},
        {"$V report w.h5", 2,
         "w.h5: not a results file of vpjnd: its schema is 'vpjnd-weights', not 'vpjnd-results'"},
        {"$V report one.h5", 0, "MAD"},
        {"$V report --csv one.h5", 0, "predictor,fold,metric,value"},
        {"$V report --json one.h5", 0, "{"},
        {"$V report --html --published=all one.h5", 0, "<h2>FIGURES OF OTHERS, as published</h2>"},
        {"$V report --metrics --folds --sweep --images one.h5", 0, "b.png"},
        {"$V report --published one.h5", 0, "published.csv has none of data set manifest"},
        {"$V report --published=all one.h5", 0, "FIGURES OF OTHERS, as published, not measured"},
        {"$V report --published=all --json one.h5", 0, "\"model\": \"SUR-FeatNet\""},
        {"$V eval -q --config run.cfg --set predictors=psnr-threshold:1 --set qf_last=3 -o low.h5 "
         "&& "
         "$V report --images-csv low.h5",
         0, "\npsnr-threshold,a.png,,30,1,1,,-29,"}, /* nothing is visible */
        {"$V report --published=mcl-jci one.h5", 2, "takes nothing or =all, not 'mcl-jci'"},
        {"$V report --published --csv one.h5", 2, "goes with the text, --json or --html"},
        {"$V report --published --sweep-csv one.h5", 2, "goes with the text, --json or --html"},
        {"$V report --published=all --json one.h5", 0, "\"published_file\": \"published.csv\""},
        {"$V report --sweep-csv one.h5", 0, "predictor,axis,at,metric,value,n,units"},
        {"$V report --html --csv one.h5", 2, "one form at a time: --csv, --images-csv"},
        {"$V report --latex one.h5", 0, "\\begin{tabular}{llrrrrrrrr}"},
        {"$V report --latex --published one.h5", 2, "a CSV and a table for a paper are ours alone"},
        {"$V report --csv --folds one.h5", 2, "--images add sections to the text; the other forms"},
        {"$V report --images --html one.h5", 2, "add sections to the text"},
        {"$V report --json --json one.h5", 0, "{"},
        {"$V compare --json --images-csv one.h5 two.h5", 2, "one form at a time"},
        {"$V report --published-file=absent.csv one.h5", 2, "absent.csv"},
        {"$V report --published-file=two.csv one.h5", 2, "two.csv:1: no column 'model'"},
        {"$V compare one.h5", 2, "give two results files or more"},
        {"$V compare one.h5 one.h5", 2, "one.h5 is given twice"},
        {"$V compare one.h5 absent.h5", 2, "cannot open results file absent.h5"},
        {"cp one.h5 two.h5 && $V compare one.h5 two.h5", 0, "two/constant - one/constant"},
        {"$V compare --images --metrics --folds --sweep --against one/constant one.h5 two.h5", 0,
         "b.png"},
        {"$V compare --published=all one.h5 two.h5", 0, "Rate-damage curves of others"},
        {"$V compare --csv one.h5 two.h5", 0, "two/constant - one/constant,,tied,2,,,2,"},
        {"$V compare --html one.h5 two.h5", 0, "<h2>Results files</h2>"},
        {"$V compare --json one.h5 two.h5", 0, "\"schema\": \"vpjnd-comparison\""},
        {"$V compare --against no one.h5 two.h5", 2,
         "no predictor 'no' to compare with; there are "
         "one/constant, two/constant"},
        {"$V compare --against all one.h5 two.h5", 0, "two/constant - one/constant"},
        {"$V train --config run.cfg --set folds=random:2 --set patch_size=256 -o t.h5", 2,
         "option folds = random:2 has no effect on training without fold=K, which leaves one for"},
        {"$V eval --config run.cfg --set qf_last=20 --set predictors=constant,psnr-threshold,"
         "ssim-threshold:0.9 -o three.h5",
         0, "ssim-threshold - constant"},
        {"$V report --against psnr-threshold three.h5 | grep -o '^.* - psnr-threshold'", 0,
         "constant - psnr-threshold\nssim-threshold - psnr-threshold\n"},
        {"$V report --csv --against all three.h5 | grep -c mad_difference", 0, "3\n"},
        {"$V report --against none three.h5", 2,
         "three.h5: no predictor 'none' to compare with; there are constant, psnr-threshold, ssim"},
        {"$V compare one.h5 part.h5", 2, "not comparable: they differ in dataset, "},
        {"$V candidates a.png --qf 1,35,100 -o out && ls out", 0,
         "a_001.png\na_035.png\na_100.png"},
        {"$V candidates a.png --qf 0 -o out", 2, "'0' is not a list of different quality factors"},
        {"$V candidates a.png --qf 5-3 -o out", 2, "'5-3' is not a list"},
        {"$V candidates a.png --qf 7,7 -o out", 2, "'7,7' is not a list"},
        {"$V candidates a.png --qf 7 --sampling 422 -o out", 2, "'422' is neither 420 nor 444"},
        {"$V candidates absent.png --qf 7 -o out", 1, "absent.png"},
        {"$V candidates a.png --qf 7", 2, "say where to write them"},
        {"$V candidates a.png --qf 7 -o out --threads 0", 2, "'0' is not a whole number 1..1024"},
        {"$V candidates --qf 7 -o out", 2, "no picture given"},
        {"$V candidates a.png --qf 7 -o two.csv", 2,
         "two.csv is there and is no folder; name another one"},
        {"$V map --list", 0, "klt22"},
        {"$V map --model chou95 a.png -o m.h5", 0, " grey levels, mean "},
        {"$V help map", 0, "--model"},
        {"$V help nothing", 2, "unknown command 'nothing'"},
        {"$V -V", 0, "vpjnd "},
        {"$V map --model liu10 --variant raw a.png -o m.h5", 2,
         "its variants: authors, paper, authors-pd, paper-pd"},
        {"$V map --model yang05 --stages a.png -o m.png", 2, "--stages needs an HDF5 file"},
        {"$V map --model epc17 a.png -o m.png", 0, ""},
        {"$V map --model eye a.png -o m.png", 2, "eye"},
        {"$V map --list", 0, "resjnd24"},
        {"$V map --model resjnd24 a.png -o m.h5", 2, "vpjnd import FILE.pth"},
        {"$V map --model chou95 a.png -o absent/m.png", 2, "absent/m.png"},
        {"$V map --weights w.h5 a.png -o m.h5", 2, "epc17 has no weights"},
        {"$V map --model resjnd24 --weights w.h5 a.png -o m.h5", 2, "'vpjnd-weights'"},
        {"$V import " VJ_TEST_GOLDEN "/resjnd/net.pth --list", 0, "conv1.weight [8, 8, 3, 3]"},
        {"$V import " VJ_TEST_GOLDEN "/resjnd/net.pth -o r.h5", 0, "ResJND, 8 channels"},
        {"$V import " VJ_TEST_GOLDEN "/resjnd/net.pth --raw -o r.h5", 2, "no option but"},
        {"$V map --model resjnd24 --weights r.h5 a.png -o m.h5", 0, ""},
        {"$V map a.png -o m.h5", 0, ""},
        {"$V map a.png b.png -o m.h5", 2, "the file of one map, and 2 pictures are given; name a"},
        {"$V map a.png -o maps", 2, "nor in .png; if it is a folder, say --format h5 or --format"},
        {"$V map a.png -o maps --format jpg", 2, "--format: 'jpg' is neither h5 nor png"},
        {"$V map a.png b.png -o maps --format png && ls maps", 0, "a.png\nb.png\n"},
        {"$V map a.png -o w.h5", 2, "w.h5 is there and is no file of kind vpjnd-map, so it is not"},
        {"cp a.png copy.png && $V map copy.png -o ./copy.png", 2,
         "is one of the pictures given; name an"},
        {"cmp a.png copy.png", 0, ""},
        {"$V import " VJ_TEST_GOLDEN "/resjnd/net.pth -o w.h5", 2,
         "w.h5 is there and is no file of kind vpjnd-resjnd-weights"},
        {"$V map --model epc17 absent.png -o m.png", 1, "absent.png"},
        {"$V init --variant circle -o x.h5", 2, "circle"},
        {"$V init --patch-size 33 -o x.h5", 2, "33"},
        {"$V init --seed -1 -o x.h5", 2, "'-1' is not a whole number"},
        {"$V init --seed ' -5' -o x.h5", 2, "' -5' is not a whole number"},
        {"$V import absent -o x.h5", 2, "absent"},
        {"$V predict --weights w.h5 a.png b.png", 0, "random weights"},
        {"$V predict --weights w.h5 set/c.png a.png", 1, "set/c.png"},
        {"$V predict --weights w.h5 --set max_memory=1M a.png b.png", 2,
         "or raise it; the largest picture is a.png: scale it or leave it out"},
        /* the head of a PNG file of 60000x60000 pixels */
        {"mkdir big && cp a.png big && printf '"
         "\\211PNG\\015\\012\\032\\012\\000\\000\\000\\015IHDR\\000\\000\\352\\140\\000"
         "\\000\\352\\140\\010\\002\\000\\000\\000\\017\\260\\342\\025\\000\\000\\000\\000"
         "IDAT\\065\\257\\006\\036"
         "' > big/b.png && $V eval --set root=big --set predictors=psnr-threshold "
         "--set qf_last=9 --set max_pixels=0 -o big.h5",
         1, "more than the 268435456 allowed (max_pixels)"},
        {"$V predict --weights w.h5 --set max_pixels=0 big", 1,
         "more than the 268435456 allowed (max_pixels)"},
        {"$V predict --weights w.h5 nope.png", 1, "vpjnd: nope.png: cannot be opened"},
        {"$V predict --weights w.h5 --anchor 50 --set qf_first=60 --set qf_last=70 a.png", 2,
         "--anchor 50 is not above qf_first 60, so no quality factor is left to search; give a"},
        {"$V predict --weights w.h5 --anchor 1 a.png", 2, "not above qf_first 1"},
        {"$V predict --weights w.h5 --anchor 2 a.png", 0, "a.png\t"},
        {"$V predict --weights w.h5 --threads 1 --set qf_last=9 b.png", 0, "b.png\t"},
        {"$V predict --weights w.h5 --threads x a.png", 2, "option threads: 'x' is not a whole"},
        {"$V predict --weights w.h5 " ALPHA, 1,
         "alpha channel with transparent pixels; store it without, or blend it over "
         "a colour with --alpha black or --alpha white"},
        {"$V predict --weights w.h5 --alpha white " ALPHA, 1, "(the patch size)"},
        {"$V map " ALPHA " -o m.h5", 1, "with --alpha black or --alpha white"},
        {"$V map --alpha black " ALPHA " -o m.h5", 0, "grey levels, mean"},
        {"$V map --alpha red " ALPHA " -o m.h5", 2, "--alpha: 'red' is not refuse, black or white"},
        {"$V candidates --qf 7 -o out " ALPHA, 1, "with --alpha black or --alpha white"},
        {"$V candidates --qf 7 -o out --alpha white " ALPHA, 0, "\t7\t"},
        {"$V candidates --qf 7 -o out --alpha red " ALPHA, 2, "--alpha: 'red' is not refuse, "},
        {"mkdir clear && cp " ALPHA " clear && $V eval --set root=clear --set qf_last=2 --set "
         "predictors=psnr-threshold --alpha white -o clear.h5",
         0, "psnr-threshold"},
        {"$V train --alpha red -o t.h5", 2, "'red' is not one of refuse,black,white"},
        {"$V synth --photos " ALPHA " --size 176x176 -o clearest", 2,
         "has an alpha channel with transparent pixels; store it without\n"},
        {"$V predict --predictor psnr-threshold --set jnd_model=no a.png", 2,
         "option jnd_model: unknown pixel-JND model \"no\"; known models: chou95"},
        {"$V eval --set root=set --set predictors=psnr-threshold --set jnd_variant=no -o no.h5", 2,
         "option jnd_variant: "},
        {"$V train --set root=set --set variant=pw-jnd --set jnd_model=no -o no.h5", 2,
         "option jnd_model: unknown pixel-JND model \"no\""},
        {"$V predict --weights w.h5 --set codec=bpg a.png", 2, "'codec=bpg' has no effect"},
        {"$V predict --weights w.h5 --set streams=set a.png", 2, "'streams=set' has no effect"},
        {"$V predict --weights w.h5 --set predictors+=constant a.png", 2, "has no effect"},
        {"$V predict --weights absent.h5 a.png", 2, "absent.h5"},
        {"$V predict a.png", 2, "no weights given: --weights FILE.h5, of vpjnd train or"},
    };
    static char output[65536];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = shell(cases[i].line, output, sizeof(output));
        if (status != cases[i].status || !strstr(output, cases[i].text))
            fail_msg("%s\nended with %d, expected %d and \"%s\":\n%s", cases[i].line, status,
                     cases[i].status, cases[i].text, output);
    }
}

/* Everything but the times must be as in the unbroken run. */
static void assert_same_columns(const char *a, const char *b)
{
    static const struct {
        const char *path;
        enum vj_column_type type;
        size_t size;
    } columns[] = {
        {"/images/status", VJ_COLUMN_I32, 4},
        {"/images/width", VJ_COLUMN_I32, 4},
        {"/candidates/bytes", VJ_COLUMN_I64, 8},
        {"/candidates/psnr_y", VJ_COLUMN_F64, 8},
        {"/patches/origin", VJ_COLUMN_I32, 4},
        {"/predictors/vpjnd-w/score", VJ_COLUMN_F32, 4},
        {"/predictors/vpjnd-w/lossy", VJ_COLUMN_U8, 1},
        {"/predictors/vpjnd-w/qf_pred", VJ_COLUMN_I32, 4},
        {"/predictors/constant/qf_pred", VJ_COLUMN_I32, 4},
    };
    struct vj_results *r[2];
    struct vj_error err = {0};
    const char *names[] = {a, b};
    for (int i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if (vj_results_open(&r[i], path, false, &err))
            fail_msg("%s", err.text);
    }
    for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
        size_t rows, dim[VJ_COLUMN_RANK_MAX], string_size;
        int rank;
        assert_int_equal(
            vj_results_shape(r[0], columns[c].path, &rows, &rank, dim, &string_size, &err), 0);
        size_t bytes = rows * dim[0] * dim[1] * dim[2] * columns[c].size;
        void *x = malloc(bytes), *y = malloc(bytes);
        for (int i = 0; i < 2; i++)
            if (vj_results_read(r[i], columns[c].path, columns[c].type, 0, rows, i ? y : x, &err))
                fail_msg("%s", err.text);
        assert_memory_equal(x, y, bytes);
        free(x);
        free(y);
    }
    double mad[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vj_results_get_scalar(r[i], "/metrics/constant/mad", &mad[i], &err), 0);
        vj_results_close(r[i]);
    }
    assert_true(mad[0] == mad[1]);
}

static void a_killed_run_is_resumed_to_the_same_content(void **state)
{
    (void)state;
    char output[16384], line[2048];
    static const char run[] = "$V eval -q --set dataset=manifest --set root=many.csv --set "
                              "predictors=constant,vpjnd:w.h5 --set qf_last=30 --set bootstrap=40";
    strcpy(line, "printf 'image,candidates,qf_true,fold\\n' > many.csv; ");
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m%d.png", i);
        write_picture(name, 60 + 10 * (size_t)i, 64, i);
        snprintf(line + strlen(line), sizeof(line) - strlen(line), "echo %s,,%d,1 >> many.csv; ",
                 name, 10 + i);
    }
    strcat(line, "true");
    assert_int_equal(shell(line, output, sizeof(output)), 0);
    snprintf(line, sizeof(line), "%s -o whole.h5", run);
    if (shell(line, output, sizeof(output)) != 0)
        fail_msg("%s", output);
    for (int round = 0; round < 5; round++) {
        /* Killed ever later, resumed until it ends by itself. */
        snprintf(
            line, sizeof(line),
            "rm -f broken.h5; for t in 0.%02d 0.%02d; do %s --resume -o broken.h5 & p=$!; "
            "sleep $t; kill -9 $p; wait $p; done; [ -f broken.h5 ] || %s --resume -o broken.h5",
            5 + 9 * round, 20 + 13 * round, run, run);
        if (shell(line, output, sizeof(output)) != 0)
            fail_msg("round %d: %s", round, output);
        assert_same_columns("whole.h5", "broken.h5");
    }
    /* Interrupted as soon as there is something to resume. */
    snprintf(line, sizeof(line),
             "rm -f broken.h5; %s --resume -o broken.h5 & p=$!; until [ -f broken.h5.part ] || "
             "[ -f broken.h5 ]; do sleep 0.002; done; kill -TERM $p; wait $p",
             run);
    assert_int_equal(shell(line, output, sizeof(output)), 128 + 15);
    vj_assert_contains(output, "vpjnd: interrupted; broken.h5.part keeps the images that are done: "
                               "go on with the same command and --resume");
    /* A shell's command behind & ignores Ctrl-C, which is meant for another one. */
    snprintf(line, sizeof(line),
             "rm -f broken.h5*; %s -o broken.h5 & p=$!; until [ -f broken.h5.part ] || "
             "[ -f broken.h5 ]; do sleep 0.002; done; kill -INT $p; wait $p",
             run);
    if (shell(line, output, sizeof(output)) != 0)
        fail_msg("%s", output);
    assert_same_columns("whole.h5", "broken.h5");
}

static void an_unfinished_run_says_so_and_is_not_finished_by_another_program(void **state)
{
    (void)state;
    char output[16384], part[4200];
    struct vj_error err = {0};
    struct vj_results *r;
    static const char resume[] = "$V eval -q --config run.cfg --set qf_last=12 --resume -o cut.h5";
    static const char *const names[] = {"git_revision", "program_version", "jpeg_library"};
    const int32_t pending = -1;
    /* As a kill leaves it before the second picture. */
    assert_int_equal(shell("$V eval -q --config run.cfg --set qf_last=12 -o cut.h5 && "
                           "mv cut.h5 cut.h5.part",
                           output, sizeof(output)),
                     0);
    snprintf(part, sizeof(part), "%s/cut.h5.part", folder);
    if (vj_results_open(&r, part, true, &err) ||
        vj_results_write(r, "/images/status", VJ_COLUMN_I32, 1, 1, &pending, &err) ||
        vj_results_set_int(r, "/", "complete", 0, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
    static const char *const forms[][2] = {
        {"", "2: 1 ok, 0 failed, 1 not evaluated yet"},
        {"", "The run goes on or was cut short: 1 of 2 pictures are done. Predictions and "},
        {"", "until then the file holds, of each picture that is\n"},
        {"", "sizes, PSNR-Y, PSNR-RGB, SSIM, MS-SSIM of its candidates (/candidates).\n"},
        {"", "\n\nTo finish the run, where it was started\n\nvpjnd eval -q --config run.cfg --set "
             "qf_last=12 -o cut.h5 --resume\n"},
        {"--images", "\na.png    done\nb.png    not evaluated yet\n"},
        {"--images-csv", "\nconstant,b.png,,50,,,not evaluated yet,,,,\r\n"},
        {"--csv", "predictor,fold,metric,value,ci_low,ci_high,n,units\r\n"},
        {"--csv", "cut.h5.part: the run has not finished, so that no predictor has figures yet; to "
                  "finish it: vpjnd eval -q --config run.cfg"},
        {"--html", "2 pictures, 1 not evaluated yet"},
        {"--html", "<code>vpjnd eval -q --config run.cfg --set qf_last=12 -o cut.h5 --resume</"},
        {"--html", "<td class=\"left wide\">not evaluated yet</td>"},
        {"--json", "\"pending\": 1"},
        {"--json", "\"resume\": \"vpjnd eval -q --config run.cfg --set qf_last=12 -o cut.h5 "
                   "--resume\""}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char line[100];
        snprintf(line, sizeof(line), "$V report %s cut.h5.part", forms[i][0]);
        assert_int_equal(shell(line, output, sizeof(output)), 0);
        vj_assert_contains(output, forms[i][1]);
        /* Although this file has predictions, as those of a run that ends just then: no figures. */
        assert_null(strstr(output, "MAD"));
        assert_null(strstr(output, "saved"));
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *ours = NULL, told[100];
        if (vj_results_open(&r, part, true, &err) ||
            vj_results_get_text(r, "/", names[i], &ours, &err) ||
            vj_results_set_text(r, "/", names[i], "another", &err))
            fail_msg("%s", err.text);
        vj_results_close(r);
        snprintf(told, sizeof(told), "its %s is 'another', this program's", names[i]);
        assert_int_equal(shell(resume, output, sizeof(output)), 2);
        vj_assert_contains(output, told);
        if (vj_results_open(&r, part, true, &err) ||
            vj_results_set_text(r, "/", names[i], ours, &err))
            fail_msg("%s", err.text);
        vj_results_close(r);
        free(ours);
    }
}

/* Printed as the command that finishes a run, it must name the same files when it is copied. */
static void the_command_line_is_recorded_as_a_shell_takes_it(void **state)
{
    (void)state;
    char output[16384];
    assert_int_equal(
        shell("$V eval -q --config run.cfg --set qf_last=12 "
              "-o \"$(printf \"n\\n\\377'\\\\\\\\.h5\")\" && mv n?*.h5 odd.h5; "
              "$V eval -q --config run.cfg --set qf_last=12 -o 'it'\\''s!\303\274.h5'; "
              "$V report --json odd.h5; $V report --json it*.h5",
              output, sizeof(output)),
        0);
    /* JSON doubles the backslashes. */
    vj_assert_contains(output, " -o $'n\\\\012\\\\377\\\\047\\\\134.h5'\"");
    vj_assert_contains(output, " -o 'it'\\\\''s!\303\274.h5'\"");
}

static void a_resumed_run_must_be_the_same_run(void **state)
{
    (void)state;
    char output[8192];
    static const struct {
        const char *change, *text;
    } cases[] = {
        {"--set qf_last=15", "it has the option `qf_last = 12;`, this run `qf_last = 15;`"},
        {"--set seed=2", "it has the option `seed = \"1\";`, this run `seed = \"2\";`"},
    };
    /* A file that a full disk or a kill has left at its first step: made whole, then renamed back.
     */
    assert_int_equal(shell("$V eval -q --config run.cfg --set qf_last=12 -o s.h5 && "
                           "cp s.h5 s2.h5.part",
                           output, sizeof(output)),
                     0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[512];
        snprintf(line, sizeof(line),
                 "$V eval -q --config run.cfg --set qf_last=12 %s --resume -o s2.h5",
                 cases[i].change);
        assert_int_equal(shell(line, output, sizeof(output)), 2);
        vj_assert_contains(output, "cannot resume s2.h5.part");
        vj_assert_contains(output, cases[i].text);
    }
    assert_int_equal(shell("echo 'a.png,,31,1' >> two.csv; $V eval -q --config run.cfg --set "
                           "qf_last=12 --resume -o s2.h5; s=$?; sed -i '$d' two.csv; exit $s",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "dataset_fingerprint");

    /* Of a finished run nothing is done again, and no other run takes its place unasked. */
    assert_int_equal(shell("sha256sum s.h5 > sum; $V eval -q --config run.cfg --set qf_last=12 "
                           "--resume -o s.h5; s=$?; sha256sum -c sum; exit $s",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "s.h5 is complete; there is nothing to resume");
    vj_assert_contains(output, "s.h5: OK");
    assert_int_equal(shell("$V eval -q --config run.cfg --set qf_last=15 --resume -o s.h5; s=$?; "
                           "sha256sum -c sum; exit $s",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "s.h5 is finished, and not the run that is to be resumed");
    vj_assert_contains(output, "s.h5: OK");
}

static void outputs_that_cannot_be_or_would_destroy_are_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"cp w.h5 v.h5; $V eval --config run.cfg --set predictors=vpjnd:v.h5 -o v.h5",
         "output v.h5 is there and is no file of kind vpjnd-results, so it is not replaced"},
        {"$V eval --config run.cfg -o run.cfg", "output run.cfg is there and is no file of kind"},
        {"$V eval --config run.cfg -o ./new.CSV", "would be an HDF5 file; name it so (./new.h5)"},
        {"$V eval --config run.cfg -o set", "output set is there and is no regular file"},
        {"$V eval --config run.cfg -o set/", "output 'set/': name a file"},
        {"$V eval --config run.cfg -o ''", "output '': name a file"},
        {"$V eval --config run.cfg -o a.png/r.h5", "output a.png/r.h5: a.png is no folder"},
        {"$V init --variant figure --seed 1 -o run.cfg", "output run.cfg is there and is no file"},
        {"$V train --config run.cfg --set steps=1 -o run.cfg", "output run.cfg is there and is no"},
        {"mkfifo fifo; $V report fifo", "fifo: is not a regular file"},
        {"$V report set", "set: is not a regular file"},
    };
    char output[20000];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(shell(cases[i].line, output, sizeof(output)), 2);
        vj_assert_contains(output, cases[i].text);
    }
    /* an earlier results file and an empty file, as mktemp makes them, are replaced */
    assert_int_equal(
        shell(": > empty.h5 && $V eval --config run.cfg --set qf_last=2 -o empty.h5 && "
              "$V eval --config run.cfg --set qf_last=3 -o empty.h5 && "
              "head -1 two.csv && ls empty.h5*",
              output, sizeof(output)),
        0);
    vj_assert_contains(output, "image,candidates,qf_true,fold");
    assert_null(strstr(output, ".part"));
    assert_null(strstr(output, ".new"));
}

/* Both begin at once; one makes the file, the other one leaves it alone. */
static void of_two_runs_with_one_output_one_is_made(void **state)
{
    (void)state;
    char output[20000];
    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            shell("rm -f race.h5*; $V eval -q --config run.cfg -o race.h5 > l1 2>&1 & a=$!; "
                  "$V eval -q --config run.cfg -o race.h5 > l2 2>&1; r2=$?; wait $a; r1=$?; "
                  "ls race.h5*; case $r1$r2 in 02|20|00) exit 0 ;; *) exit 9 ;; esac",
                  output, sizeof(output)),
            0);
        assert_null(strstr(output, "race.h5."));
        assert_int_equal(shell("$V report --csv race.h5", output, sizeof(output)), 0);
        vj_assert_contains(output, "constant,,saving_mean,0.87");
    }
}

static void messages_never_end_up_in_results(void **state)
{
    (void)state;
    char output[20000];
    assert_int_equal(shell("$V eval --set dataset=folder --set root=set --set "
                           "predictors=psnr-threshold --set qf_last=9 -o closed.h5 <&- >&- 2>&-",
                           output, sizeof(output)),
                     1); /* set/c.png is torn, which is said to nobody */
    assert_int_equal(shell("$V report closed.h5", output, sizeof(output)), 0);
    vj_assert_contains(output, "3: 2 ok, 1 failed");
}

/* As on a full disk: status 2 and a word, never a crash, and no half of a file left. */
static void files_that_may_not_grow_are_an_error_and_no_crash(void **state)
{
    (void)state;
    char line[512], output[20000];
    int failed = 0;
    for (int blocks = 1; blocks <= 257; blocks += 32) {
        snprintf(line, sizeof(line),
                 "(ulimit -f %d; $V eval -q --set dataset=folder --set root=set --set "
                 "predictors=psnr-threshold -o small.h5 > said 2>&1); r=$?; cat said; "
                 "ls small.h5.part.*; rm -f small.h5*; exit $r",
                 blocks);
        const int status = shell(line, output, sizeof(output));
        assert_true(status == 1 || status == 2); /* 1: there was room, and c.png is torn */
        failed += status == 2;
        assert_null(strstr(output, "\nsmall.h5.part."));
    }
    assert_true(failed > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines_end_with_the_right_status_and_words),
        cmocka_unit_test(a_killed_run_is_resumed_to_the_same_content),
        cmocka_unit_test(an_unfinished_run_says_so_and_is_not_finished_by_another_program),
        cmocka_unit_test(the_command_line_is_recorded_as_a_shell_takes_it),
        cmocka_unit_test(a_resumed_run_must_be_the_same_run),
        cmocka_unit_test(outputs_that_cannot_be_or_would_destroy_are_refused_at_once),
        cmocka_unit_test(of_two_runs_with_one_output_one_is_made),
        cmocka_unit_test(messages_never_end_up_in_results),
        cmocka_unit_test(files_that_may_not_grow_are_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
