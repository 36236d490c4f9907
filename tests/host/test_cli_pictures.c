/* SPDX-License-Identifier: MIT */
/* Commands on any pictures, as a user meets them: candidates and predict. */
#include "tests/host/cli_rig.h"

#include <math.h>

#include "host/weights.h"

static void candidates_print_what_libjpeg_would_write(void **state)
{
    (void)state;
    char output[4096], line[64];
    struct vj_image img;
    struct vj_error err = {0};
    char path[4096];
    static const int qfs[] = {1, 35, 100};
    static const struct {
        const char *sampling;
        enum vj_subsampling how;
    } kinds[] = {{"420", VJ_SUBSAMPLING_420}, {"444", VJ_SUBSAMPLING_444}};
    snprintf(path, sizeof(path), "%s/b.png", folder);
    assert_int_equal(vj_image_read(&img, path, NULL, &err), 0);
    for (int k = 0; k < 2; k++) {
        char command[128];
        snprintf(command, sizeof(command), "$V candidates b.png --qf 1,35,100 --sampling %s -o out",
                 kinds[k].sampling);
        assert_int_equal(shell(command, output, sizeof(output)), 0);
        for (int i = 0; i < 3; i++) {
            uint8_t *data;
            size_t size;
            struct vj_image ours, theirs;
            assert_int_equal(vj_jpeg_encode(&data, &size, &img, qfs[i], kinds[k].how, &err), 0);
            snprintf(line, sizeof(line), "b.png\t%d\t%zu\n", qfs[i], size);
            vj_assert_contains(output, line);
            assert_int_equal(vj_image_read_memory(&theirs, data, size, "memory", NULL, &err), 0);
            snprintf(path, sizeof(path), "%s/out/b_%03d.png", folder, qfs[i]);
            assert_int_equal(vj_image_read(&ours, path, NULL, &err), 0);
            assert_memory_equal(ours.data, theirs.data, ours.width * ours.height * 3);
            vj_image_free(&ours);
            vj_image_free(&theirs);
            free(data);
        }
    }
    vj_image_free(&img);
}

/* The file `name` in the folder is the JPEG that libjpeg-turbo makes of the picture. */
static void assert_jpeg(const char *name, const char *picture, int qf, enum vj_subsampling how)
{
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    uint8_t *expected, *found;
    size_t expected_size, found_size;
    snprintf(path, sizeof(path), "%s/%s", folder, picture);
    assert_int_equal(vj_image_read(&img, path, NULL, &err), 0);
    assert_int_equal(vj_jpeg_encode(&expected, &expected_size, &img, qf, how, &err), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (vj_file_read(&found, &found_size, path, 0, &err))
        fail_msg("%s", err.text);
    assert_int_equal(found_size, expected_size);
    assert_memory_equal(found, expected, expected_size);
    free(expected);
    free(found);
    vj_image_free(&img);
}

static void candidates_can_be_the_very_files_of_libjpeg(void **state)
{
    (void)state;
    char output[4096], table[4096];
    assert_int_equal(
        shell("$V candidates b.png --qf 1,35,100 --format jpg -o jpgs", output, sizeof(output)), 0);
    assert_int_equal(shell("$V candidates b.png --qf 1,35,100 -o pngs", table, sizeof(table)), 0);
    assert_string_equal(output, table);
    assert_jpeg("jpgs/b_001.jpg", "b.png", 1, VJ_SUBSAMPLING_420);
    assert_jpeg("jpgs/b_035.jpg", "b.png", 35, VJ_SUBSAMPLING_420);
    assert_jpeg("jpgs/b_100.jpg", "b.png", 100, VJ_SUBSAMPLING_420);
    assert_int_equal(shell("$V candidates b.png --qf 35 --format jpg --sampling 444 -o jpgs && "
                           "ls jpgs",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "b_001.jpg\nb_035.jpg\nb_100.jpg\n");
    assert_jpeg("jpgs/b_035.jpg", "b.png", 35, VJ_SUBSAMPLING_444);
    assert_int_equal(shell("cp jpgs/b_035.jpg jpgs/b.jpg; $V candidates jpgs --qf 35 --format jpg "
                           "-o jpgs",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "output jpgs/b_035.jpg is one of the pictures given");
    assert_int_equal(
        shell("$V candidates b.png --qf 35 --format gif -o jpgs", output, sizeof(output)), 2);
    vj_assert_contains(output, "--format: 'gif' is neither png nor jpg");
}

static void candidates_of_a_folder_lie_as_its_pictures_do(void **state)
{
    (void)state;
    char output[8192], single[4096];
    assert_int_equal(shell("mkdir -p none tree/sub/deep && cp a.png tree/sub/deep/x.png && "
                           "cp a.png tree/y.PNG && cp b.png tree/sub/y.png && "
                           "touch tree/notes.txt && "
                           "$V candidates tree none/../b.png --qf 9,80 -o cut 2> said | cut -f 1,2;"
                           "cat said; cd cut && find . | LC_ALL=C sort",
                           output, sizeof(output)),
                     0);
    assert_string_equal(output, "tree/sub/deep/x.png\t9\ntree/sub/deep/x.png\t80\n"
                                "tree/sub/y.png\t9\ntree/sub/y.png\t80\n"
                                "tree/y.PNG\t9\ntree/y.PNG\t80\n"
                                "none/../b.png\t9\nnone/../b.png\t80\n"
                                "vpjnd: tree: not used: a file that is no picture by its ending, "
                                "notes.txt\n"
                                ".\n./b_009.png\n./b_080.png\n./sub\n./sub/deep\n"
                                "./sub/deep/x_009.png\n./sub/deep/x_080.png\n"
                                "./sub/y_009.png\n./sub/y_080.png\n./y_009.png\n./y_080.png\n");
    /* Neighbours change nothing in a picture's candidates. */
    assert_int_equal(shell("$V candidates b.png --qf 80 -o alone && cmp alone/b_080.png "
                           "cut/b_080.png && cmp alone/b_080.png cut/sub/y_080.png",
                           single, sizeof(single)),
                     0);
    /* A second time is the same work again, not candidates of candidates. */
    assert_int_equal(shell("$V candidates tree --qf 9,80 -o cut > again && wc -l < again", output,
                           sizeof(output)),
                     0);
    vj_assert_contains(output, "6\n");
}

/* set/c.png is torn. */
/* Pictures and lines are those of one thread; what cannot be written ends all of them. */
static void candidates_do_not_depend_on_threads(void **state)
{
    (void)state;
    char output[20000];
    assert_int_equal(shell("$V candidates b.png --qf 1-100 --threads 1 -o t1 > l1 && "
                           "$V candidates b.png --qf 1-100 --threads 7 -o t7 > l7 && "
                           "cmp l1 l7 && diff -r t1 t7 && wc -l < l7",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "100\n");
    assert_int_equal(shell("mkdir -p t2/b_050.png && "
                           "$V candidates b.png --qf 49-51 --threads 2 -o t2",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "t2/b_050.png: cannot");
    assert_null(strstr(output, "b.png\t50\t"));
}

static void a_broken_picture_does_not_end_the_others_candidates(void **state)
{
    (void)state;
    char output[8192];
    assert_int_equal(shell("cp -r set torn && mkdir torn/sub && cp set/c.png torn/aa.png && "
                           "cp set/c.png torn/sub && "
                           "$V candidates torn absent.png --qf 50 -o whole",
                           output, sizeof(output)),
                     1);
    vj_assert_contains(output, "vpjnd: torn/aa.png: ");
    vj_assert_contains(output, "torn/a.png\t50\t");
    vj_assert_contains(output, "torn/b.png\t50\t");
    vj_assert_contains(output, "vpjnd: torn/c.png: ");
    vj_assert_contains(output, "vpjnd: torn/sub/c.png: ");
    vj_assert_contains(output, "vpjnd: absent.png: cannot be opened");
    assert_null(strstr(output, "absent.png: absent.png"));
    assert_int_equal(shell("ls whole", output, sizeof(output)), 0);
    assert_string_equal(output, "a_050.png\nb_050.png\n");
}

static void candidates_never_replace_each_other_or_a_picture(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"$V candidates one/x.png other/x.png --qf 35 -o no",
         "one/x.png and other/x.png would both be written to no/x_QQQ.png; rename one"},
        {"$V candidates one other --qf 35 -o no", "one/x.png and other/x.png would both be"},
        {"$V candidates same --qf 35 -o no",
         "same/sub/x.jpg and same/sub/x.png would both be written to no/sub/x_QQQ.png"},
        {"$V candidates one/x.png one --qf 35 -o no", "one/x.png is given twice"},
        {"mkdir empty; $V candidates empty --qf 35 -o no", "empty: no picture in it or its sub-"},
        {"$V candidates one --qf 1-40 -o other/../one",
         "output other/../one/x_035.png is one of the pictures given; name another place"},
    };
    char output[4096], before[4096], after[4096];
    static const char sums[] = "sha256sum one/* other/* same/sub/*";
    assert_int_equal(shell("mkdir -p one other same/sub && cp a.png one/x.png && "
                           "cp b.png one/x_035.png && cp b.png other/x.png && "
                           "cp a.png same/sub/x.jpg && cp b.png same/sub/x.png",
                           output, sizeof(output)),
                     0);
    assert_int_equal(shell(sums, before, sizeof(before)), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(shell(cases[i].line, output, sizeof(output)), 2);
        vj_assert_contains(output, cases[i].text);
        assert_null(strchr(output, '\t'));
    }
    assert_int_equal(shell(sums, after, sizeof(after)), 0);
    assert_string_equal(before, after);
    assert_int_equal(shell("ls -d no", output, sizeof(output)), 2);
    /* What is not asked for is in nobody's way. */
    assert_int_equal(shell("$V candidates one --qf 36 -o one", output, sizeof(output)), 0);
    vj_assert_contains(output, "one/x.png\t36\t");
}

static void predictions_stand_one_per_line(void **state)
{
    (void)state;
    char output[4096], name[64], invisible[8];
    int qf;
    assert_int_equal(
        shell("$V predict --weights w.h5 a.png b.png 2> /dev/null", output, sizeof(output)), 0);
    assert_int_equal(sscanf(output, "%63[^\t]\t%d\t%7[^\t]\t", name, &qf, invisible), 3);
    assert_string_equal(name, "a.png");
    vj_assert_in_range(qf, 1, 100);
    if (strcmp(invisible, "-") != 0)
        vj_assert_in_range(atoi(invisible), qf, 100);
    vj_assert_contains(output, "\nb.png\t");
    assert_int_equal(shell("mkdir -p two/sub none && cp a.png two && cp b.png two/sub && "
                           "$V predict --weights w.h5 two none/../b.png 2> /dev/null",
                           output, sizeof(output)),
                     0);
    assert_int_equal(strncmp(output, "two/a.png\t", 10), 0);
    vj_assert_contains(output, "\ntwo/sub/b.png\t");
    vj_assert_contains(output, "\nnone/../b.png\t");
    assert_int_equal(shell("touch two/x.heic; $V predict --weights w.h5 two 2>&1 > /dev/null",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "two: not used: a file that is no picture by its ending, x.heic");
    assert_int_equal(shell("$V predict --weights w.h5 none", output, sizeof(output)), 2);
    vj_assert_contains(output, "none: no picture in it or its sub-folders");
    /* The way to a picture is not the picture. */
    char direct[200], detour[200];
    assert_int_equal(
        shell("$V predict --weights w.h5 a.png 2> /dev/null | cut -f 2-", direct, sizeof(direct)),
        0);
    assert_int_equal(shell("$V predict --weights w.h5 set/../a.png 2> /dev/null | cut -f 2-",
                           detour, sizeof(detour)),
                     0);
    assert_string_equal(direct, detour);
    /* Whatever the scores: nothing above the anchor is visible, and what is not asked is not used.
     */
    for (int anchor = 2; anchor <= 99; anchor += 14)
        for (int positive = 0; positive < 2; positive++) {
            char line[200];
            snprintf(line, sizeof(line),
                     "$V predict --weights w.h5 --anchor %d --set positive_class=%s a.png "
                     "2> /dev/null",
                     anchor, positive ? "lossy" : "lossless");
            assert_int_equal(shell(line, output, sizeof(output)), 0);
            assert_int_equal(sscanf(output, "%63[^\t]\t%d\t", name, &qf), 2);
            vj_assert_in_range(qf, 1, anchor);
        }
}

static void predictions_as_csv_say_what_the_lines_say(void **state)
{
    (void)state;
    /* One sees a difference everywhere, so that columns 3 to 5 have nothing, the other nowhere. */
    static const char *const positive[] = {"lossy", "lossless"};
    static const char header[] = "image,qf_pred,smallest_lossless_qf,bytes,saving\r\n";
    char line[1024], output[8192], lines[2048], rows[2048];
    assert_int_equal(shell("mkdir quoted && cp a.png 'quoted/a, \"b\".png' && "
                           "cp b.png set/c.png quoted",
                           output, sizeof(output)),
                     0);
    for (int i = 0; i < 2; i++) {
        const char *predict = "predict --weights w.h5 --set qf_last=8 --set positive_class";
        snprintf(line, sizeof(line),
                 "$V %s=%s quoted --csv > table 2> said; r=$?; cat table said; exit $r", predict,
                 positive[i]);
        assert_int_equal(shell(line, output, sizeof(output)), 1);
        assert_int_equal(strncmp(output, header, strlen(header)), 0);
        vj_assert_contains(output, i == 0 ? "\r\n\"quoted/a, \"\"b\"\".png\",8,,,\r\n"
                                          : "\r\n\"quoted/a, \"\"b\"\".png\",1,1,");
        vj_assert_contains(output, "\r\nquoted/b.png,");
        vj_assert_contains(output, "\nvpjnd: quoted/c.png: ");
        snprintf(line, sizeof(line), "$V %s=%s quoted 2> said | cut -f 2- | tr -d - | tr '\\t' ,",
                 predict, positive[i]);
        assert_int_equal(shell(line, lines, sizeof(lines)), 0);
        assert_int_equal(
            shell("tr -d '\\r' < table | awk -F, -v OFS=, 'NR > 1 {print $(NF - 3), $(NF - 2), "
                  "$(NF - 1), $NF == \"\" ? \"\" : sprintf(\"%.4f\", $NF)}'",
                  rows, sizeof(rows)),
            0);
        assert_string_equal(rows, lines);
    }
    /* It is a table of another program's answers, too. */
    assert_int_equal(shell("$V eval -q --set root=quoted --set predictors=external:table "
                           "--set qf_last=8 -o again.h5; $V report --images-csv again.h5",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "\nexternal-table,b.png,,,1,");
}

/* Of two networks that see a difference nowhere and everywhere. */
static void predict_writes_each_picture_as_its_smallest_invisible_jpeg(void **state)
{
    (void)state;
    char output[4096], name[64];
    int visible, invisible;
    long bytes;
    assert_int_equal(shell("mkdir -p mine/sub && cp a.png mine && cp b.png mine/sub && "
                           "cp set/c.png mine",
                           output, sizeof(output)),
                     0);
    assert_int_equal(
        shell("$V predict --weights w.h5 --set qf_last=8 --set positive_class=lossless "
              "mine -o small 2> /dev/null",
              output, sizeof(output)),
        1);
    assert_int_equal(sscanf(output, "%63[^\t]\t%d\t%d\t%ld", name, &visible, &invisible, &bytes),
                     4);
    assert_string_equal(name, "mine/a.png");
    assert_jpeg("small/a.jpg", "a.png", invisible, VJ_SUBSAMPLING_420);
    assert_jpeg("small/sub/b.jpg", "b.png", 1, VJ_SUBSAMPLING_420);
    assert_int_equal(shell("stat -c %s small/a.jpg; ls small", output, sizeof(output)), 0);
    assert_int_equal(strtol(output, NULL, 10), bytes);
    vj_assert_contains(output, "\na.jpg\nsub\n");
    assert_int_equal(shell("$V predict --weights w.h5 --set sampling=444 --set qf_last=8 --set "
                           "positive_class=lossless a.png -o full",
                           output, sizeof(output)),
                     0);
    assert_jpeg("full/a.jpg", "a.png", 1, VJ_SUBSAMPLING_444);
    /* Where even the highest is visible there is none; what cannot be written is not begun. */
    assert_int_equal(shell("$V predict --weights w.h5 --set qf_last=8 --set positive_class=lossy "
                           "a.png -o none 2> /dev/null && ls none",
                           output, sizeof(output)),
                     0);
    assert_string_equal(output, "a.png\t8\t-\t-\t-\n");
    /* The files given are counted where a JPEG came of them. */
    assert_int_equal(
        shell(
            "cp full/a.jpg given.jpg; { $V predict --predictor psnr-threshold:0 --set qf_first=50 "
            "a.png given.jpg -o sum; $V predict --predictor psnr-threshold:200 a.png -o sum; } "
            "> lines 2> said; grep -v CPU said; cat sum/*.jpg | wc -c; cat a.png given.jpg | wc -c",
            output, sizeof(output)),
        0);
    long written, sum, given;
    double percent;
    assert_int_equal(sscanf(output,
                            "vpjnd: 2 JPEGs in sum, %ld bytes, %lf %% of the files given; 1 of "
                            "them larger than theirs %ld %ld",
                            &written, &percent, &sum, &given),
                     4);
    assert_int_equal(written, sum);
    assert_true(fabs(percent - 100. * (double)sum / (double)given) <= 0.05);
    assert_int_equal(shell("$V predict --weights w.h5 --set qf_last=8 small -o mine/../small",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "small/a.jpg is one of the pictures given; name another place");
    assert_int_equal(shell("$V predict --weights w.h5 a.png -o two.csv", output, sizeof(output)),
                     2);
    vj_assert_contains(output, "two.csv is there and is no folder");
    assert_null(strchr(output, '\t'));
}

/*
 * The four pictures that decide the network's class are read before the first JPEG is written,
 * which takes away the folder that two of them lie in.
 */
static void a_picture_that_is_gone_before_its_jpeg_is_written_fails_alone(void **state)
{
    (void)state;
    char output[8192];
    assert_int_equal(
        shell("mkdir -p real way && cp a.png real/c.png && cp b.png real/d.png && "
              "ln -s ../real way/a.jpg && "
              "$V predict --weights w.h5 --anchor 40 a.png way/a.jpg/c.png way/a.jpg/d.png b.png "
              "-o way > lines 2> said; r=$?; cut -f 1 lines; grep -e way said; ls way; exit $r",
              output, sizeof(output)),
        1);
    static const char start[] = "a.png\nb.png\nvpjnd: way/a.jpg/c.png: ";
    assert_int_equal(strncmp(output, start, strlen(start)), 0);
    vj_assert_contains(output, "\nvpjnd: way/a.jpg/d.png: ");
    vj_assert_contains(output, "\nvpjnd: 2 JPEGs in way, ");
    vj_assert_contains(output, "\na.jpg\nb.jpg\n");
    assert_null(strstr(output, "c.jpg"));
    /* What cannot be written ends all of them, also those in flight. */
    assert_int_equal(shell("mkdir -p shut/a.jpg && $V predict --predictor psnr-threshold:0 "
                           "--set slots=4 a.png b.png -o shut; r=$?; ls shut; exit $r",
                           output, sizeof(output)),
                     2);
    vj_assert_contains(output, "vpjnd: shut/a.jpg: ");
    assert_null(strchr(output, '\t'));
    assert_null(strstr(output, "b.jpg"));
}

/* The same numbers as in an evaluation, by a metric and by rules on both sides of a tolerance. */
static void predictions_of_a_threshold_are_those_of_an_evaluation(void **state)
{
    (void)state;
    static const char *const predictors[] = {
        "psnr-threshold:30",        "ssim-threshold:0.9",      "ssimulacra2-threshold",
        "pixel-chou95@noise:-2.5",  "pixel-epc17@excess:4.25", "pixel-epc17:0.3",
        "pixel-chou95@share:0.125",
    };
    char line[2048], output[4096], evaluated[4096], all[512] = "";
    assert_int_equal(
        shell("mkdir -p rules/sub && cp a.png rules && cp b.png rules/sub", output, sizeof(output)),
        0);
    for (size_t i = 0; i < sizeof(predictors) / sizeof(predictors[0]); i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? "," : "", predictors[i]);
    snprintf(
        line, sizeof(line),
        "$V eval -q --set root=rules --set qf_last=60 --set predictors=%s -o rules.h5 2> said && "
        "$V report --images-csv rules.h5 | tr -d '\r' | cut -d , -f 2,5,6,9,10 | tail -n +2",
        all);
    assert_int_equal(shell(line, evaluated, sizeof(evaluated)), 0);
    const char *rest = evaluated;
    for (size_t i = 0; i < sizeof(predictors) / sizeof(predictors[0]); i++) {
        snprintf(line, sizeof(line),
                 "$V predict --predictor %s --set qf_last=60 --csv rules 2> said | tr -d '\r' | "
                 "tail -n +2 | "
                 "sed 's,^rules/,,'",
                 predictors[i]);
        assert_int_equal(shell(line, output, sizeof(output)), 0);
        vj_assert_contains(output, "a.png,");
        vj_assert_contains(output, "\nsub/b.png,");
        if (strncmp(output, rest, strlen(output)) != 0)
            fail_msg("%s: predict says\n%sbut eval\n%s", predictors[i], output, rest);
        rest += strlen(output);
    }
    assert_string_equal(rest, "");
    /* What stands above the anchor is not visible; 200 dB calls everything else lossy. */
    assert_int_equal(shell("$V predict --predictor psnr-threshold:200 --anchor 30 a.png 2> said",
                           output, sizeof(output)),
                     0);
    assert_int_equal(strncmp(output, "a.png\t29\t30\t", 12), 0);
    assert_int_equal(shell("$V predict --predictor ms-ssim-threshold a.png b.png 2>&1 > none.txt; "
                           "cat none.txt",
                           output, sizeof(output)),
                     0);
    vj_assert_contains(output, "vpjnd: a.png: MS-SSIM needs sides of 176 pixels\n");
    vj_assert_contains(output, "vpjnd: b.png: MS-SSIM needs sides of 176 pixels\n");
    assert_null(strchr(output, '\t'));
}

/* Pictures are read ahead, and their lines come in order, a broken one's failure among them. */
static void lines_do_not_depend_on_how_many_pictures_are_in_flight(void **state)
{
    (void)state;
    static const char *const ways[] = {"--set slots=1 --set decode_threads=1 --threads 1",
                                       "--set slots=9 --set decode_threads=4"};
    static const char *const by[] = {"--predictor pixel-chou95:0.1", "--weights w.h5",
                                     "--weights w.h5 --set positive_class=lossy"};
    char line[1024], output[8192], first[8192];
    assert_int_equal(shell("mkdir many; for i in 1 2 3 4 5; do cp a.png many/a$i.png; cp b.png "
                           "many/b$i.png; done; cp set/c.png many/a4.png",
                           output, sizeof(output)),
                     0);
    for (size_t b = 0; b < sizeof(by) / sizeof(by[0]); b++)
        for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
            snprintf(line, sizeof(line),
                     "$V predict --set qf_last=20 %s %s many > lines 2> said; r=$?; cat lines; "
                     "grep many said; "
                     "exit $r",
                     by[b], ways[w]);
            assert_int_equal(shell(line, output, sizeof(output)), 1);
            vj_assert_contains(output, "\nmany/b5.png\t");
            vj_assert_contains(output, "\nvpjnd: many/a4.png: ");
            assert_null(strstr(output, "not used"));
            if (w == 0)
                strcpy(first, output);
            assert_string_equal(output, first);
        }
    assert_int_equal(shell("cut -f 1 lines | sort -c && wc -l < lines", output, sizeof(output)), 0);
    assert_string_equal(output, "9\n");
}

static void a_side_is_as_long_as_jpeg_has_it(void **state)
{
    (void)state;
    char output[4096];
    assert_int_equal(
        shell("{ printf 'P5 65500 1 255\\n'; head -c 65500 /dev/zero; } > most.pgm; "
              "{ printf 'P5 65501 1 255\\n'; head -c 65501 /dev/zero; } > more.pgm; "
              "$V predict --predictor psnr-threshold --set qf_last=3 most.pgm more.pgm",
              output, sizeof(output)),
        1);
    vj_assert_contains(output, "most.pgm\t");
    vj_assert_contains(output, "more.pgm is 65501x1; JPEG takes up to 65500 pixels a side: crop");
}

static void only_predictors_that_need_no_data_set_predict(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *text;
    } refused[] = {
        {"--predictor ssim-threshold a.png",
         "ssim-threshold is fitted to labels, and there are none here; give a number: --predictor "
         "ssim-threshold:X"},
        {"--predictor pixel-epc17@noise a.png", "give a number: --predictor pixel-epc17@noise:X"},
        {"--predictor psnr-threshold:fit a.png", "give a number: --predictor psnr-threshold:X"},
        {"--predictor constant a.png", "constant predicts from a data set's labels or results"},
        {"--predictor compression-ratio a.png", "compression-ratio predicts from a data set's"},
        {"--predictor vpjnd-folds:w-{fold}.h5 a.png", "vpjnd-w predicts from a data set's labels"},
        {"--predictor vpjnd:w.h5 a.png", "a network is given as --weights w.h5"},
        {"--predictor psnr-threshold,ssim-threshold:1 a.png",
         "'psnr-threshold,ssim-threshold:1' is more than one"},
        {"--predictor nothing a.png", "unknown predictor 'nothing'; known are constant, psnr-"},
        {"--predictor psnr-threshold --weights w.h5 a.png",
         "--weights and --predictor are both given; one of them predicts"},
        {"a.png", "without a network --predictor NAME"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char line[512], output[4096];
        snprintf(line, sizeof(line), "$V predict %s", refused[i].arguments);
        assert_int_equal(shell(line, output, sizeof(output)), 2);
        vj_assert_contains(output, refused[i].text);
    }
}

/* w.h5 with weights so large that its scores leave float's range. */
static void write_overflowing(enum vj_positive_class positive)
{
    static const char *const scaled[] = {"regressions/block1/weights",
                                         "regressions/block2/weights"};
    char path[4096];
    struct vj_weights w = {0};
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "%s/w.h5", folder);
    if (vj_weights_read(&w, path, &err))
        fail_msg("%s", err.text);
    w.positive_class = positive;
    for (int i = 0; i < 2; i++) {
        struct vj_tensor *t = vj_weights_find(&w, scaled[i]);
        for (size_t k = 0; k < t->count; k++)
            t->data[k] *= 1e30f;
    }
    snprintf(path, sizeof(path), "%s/over.h5", folder);
    if (vj_weights_write(&w, path, &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
}

static void pictures_without_a_finite_answer_fail_one_by_one(void **state)
{
    (void)state;
    static const enum vj_positive_class classes[] = {VJ_POSITIVE_LOSSY, VJ_POSITIVE_AUTO};
    char output[4096];
    for (int i = 0; i < 2; i++) {
        write_overflowing(classes[i]);
        assert_int_equal(shell("$V predict --weights over.h5 a.png b.png", output, sizeof(output)),
                         1);
        vj_assert_contains(output, "a.png: the network's answer is not finite; check the weights");
        vj_assert_contains(output, "b.png: the network's answer is not finite; check the weights");
        assert_null(strstr(output, "leave open what a positive score means"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_print_what_libjpeg_would_write),
        cmocka_unit_test(candidates_can_be_the_very_files_of_libjpeg),
        cmocka_unit_test(candidates_of_a_folder_lie_as_its_pictures_do),
        cmocka_unit_test(candidates_do_not_depend_on_threads),
        cmocka_unit_test(a_broken_picture_does_not_end_the_others_candidates),
        cmocka_unit_test(candidates_never_replace_each_other_or_a_picture),
        cmocka_unit_test(predictions_stand_one_per_line),
        cmocka_unit_test(predictions_as_csv_say_what_the_lines_say),
        cmocka_unit_test(predict_writes_each_picture_as_its_smallest_invisible_jpeg),
        cmocka_unit_test(a_picture_that_is_gone_before_its_jpeg_is_written_fails_alone),
        cmocka_unit_test(predictions_of_a_threshold_are_those_of_an_evaluation),
        cmocka_unit_test(lines_do_not_depend_on_how_many_pictures_are_in_flight),
        cmocka_unit_test(a_side_is_as_long_as_jpeg_has_it),
        cmocka_unit_test(only_predictors_that_need_no_data_set_predict),
        cmocka_unit_test(pictures_without_a_finite_answer_fail_one_by_one),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
