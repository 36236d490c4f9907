/* SPDX-License-Identifier: MIT */
/*
 * translate NAME.ptx FILE.cpp: the kernels of a PTX file as C++, behind cuda/NAME.cu itself, whose
 * kernels they stand for.
 *
 * What nvcc makes of a kernel can so be run without a GPU, in the place of the kernel's own source
 * (tests/cuda/ptx/operations.h). A kernel becomes a function, a register a variable, a branch a
 * goto, and an operation the call of a function of that name, `add.s32 %r1, %r2, 7;` the call
 * `add_s32(r1, r2, 7);`, so that what operations mean stands in operations.h alone.
 *
 * Kernels only: a function that is called, and tables in constant memory, are refused.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 512, KERNELS = 256, OPERATIONS = 1024, PARAMETERS = 16 };

struct kernel {
    char name[NAME];
    size_t parameter[PARAMETERS]; /* bytes of each */
    unsigned parameters, threads; /* at most so many of a block; 0: not said */
    size_t shared;                /* bytes so far */
};

static const char *file_name;
static unsigned line = 1;
static char *text; /* what is left */

static __attribute__((noreturn)) void stop(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%u: ", file_name, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- statements ---- */

static void skip_space(void)
{
    for (;; text++) {
        if (text[0] == '/' && text[1] == '/')
            text += strcspn(text, "\n");
        if (!isspace((unsigned char)*text))
            return;
        line += *text == '\n';
    }
}

/* The next word, or one other character; "" at the end. Valid until the call after. */
static const char *word(void)
{
    static char w[NAME];
    skip_space();
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$%.");
    if (!n && *text)
        n = 1;
    if (n >= NAME)
        stop("a word of %zu characters", n);
    memcpy(w, text, n);
    w[n] = 0;
    text += n;
    return w;
}

static void expect(const char *what)
{
    const char *w = word();
    if (strcmp(w, what))
        stop("`%s` where `%s` should be", w, what);
}

static bool accept(char what)
{
    skip_space();
    if (*text != what)
        return false;
    text++;
    return true;
}

static size_t number(void)
{
    const char *w = word();
    char *end;
    const unsigned long n = strtoul(w, &end, 0);
    if (!*w || *end)
        stop("`%s` where a number should be", w);
    return n;
}

/* What stands up to the next semicolon, which is taken, too. */
static void skip_statement(void)
{
    while (*text && *text != ';')
        line += *text++ == '\n';
    if (!*text)
        stop("the file ends within a statement");
    text++;
}

/* ---- operations, each named once ---- */

static char *operations[OPERATIONS];
static unsigned operation_count;

static void note_operation(const char *name)
{
    for (unsigned i = 0; i < operation_count; i++)
        if (!strcmp(operations[i], name))
            return;
    if (operation_count == OPERATIONS)
        stop("more than %d operations", OPERATIONS);
    operations[operation_count] = strdup(name);
    if (!operations[operation_count++])
        stop("out of memory");
}

static void print_as_identifier(FILE *to, const char *name)
{
    for (; *name; name++)
        fputc(*name == '.' ? '_' : *name, to);
}

/* ---- operands ---- */

/* A number's bits, a register, a special register, or a symbol. */
static void print_operand(FILE *to, const char *w)
{
    if (w[0] == '0' && (w[1] == 'f' || w[1] == 'd') && isxdigit((unsigned char)w[2]))
        fprintf(to, "%s(0x%sull)", w[1] == 'f' ? "single_bits" : "double_bits", w + 2);
    else if (w[0] == '%' && strchr(w, '.')) {
        print_as_identifier(to, w + 1);
        fputs("()", to);
    } else {
        fputs(w[0] == '%' ? w + 1 : w, to);
    }
}

static void operand(FILE *to);

/* What stands between `separator`s up to `end`, with `between` in their place. */
static void operands(FILE *to, char separator, const char *between, const char *end)
{
    operand(to);
    while (accept(separator)) {
        fputs(between, to);
        operand(to);
    }
    expect(end);
}

/* One operand, or those in braces, one after the other; an address is a sum. */
static void operand(FILE *to)
{
    if (accept('{')) {
        operands(to, ',', ", ", "}");
    } else if (accept('[')) {
        operands(to, '+', " + ", "]");
    } else {
        if (accept('-'))
            fputc('-', to);
        if (accept('!'))
            fputc('!', to);
        print_operand(to, word());
    }
}

static void operation(FILE *to, const char *first)
{
    char name[NAME];
    strcpy(name, first);
    if (!islower((unsigned char)name[0]))
        stop("`%s` where an operation should be", name);
    if (!strcmp(name, "call"))
        stop("a function is called, which is not translated");
    if (!strcmp(name, "bra") || !strcmp(name, "bra.uni")) {
        fprintf(to, "goto %s;\n", word());
        expect(";");
        return;
    }
    if (!strcmp(name, "ret")) {
        fputs("return;\n", to);
        expect(";");
        return;
    }
    note_operation(name);
    print_as_identifier(to, name);
    fputc('(', to);
    if (!accept(';')) {
        operand(to);
        while (accept(',') || accept('|')) {
            fputs(", ", to);
            operand(to);
        }
        expect(";");
    }
    fputs(");\n", to);
}

/* ---- declarations ---- */

static const char *register_type(const char *type)
{
    static const char *const types[][2] = {
        {".pred", "bool"},    {".b16", "uint16_t"}, {".f16", "uint16_t"}, {".b32", "uint32_t"},
        {".b64", "uint64_t"}, {".f32", "float"},    {".f64", "double"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (!strcmp(types[i][0], type))
            return types[i][1];
    stop("registers of type `%s`", type);
}

/* .reg .b32 %r<8>, %temp; */
static void registers(FILE *to)
{
    const char *type = register_type(word());
    do {
        char name[NAME];
        strcpy(name, word());
        const char *plain = name + (name[0] == '%');
        if (accept('<')) {
            const size_t n = number();
            expect(">");
            for (size_t i = 1; i < n; i++)
                fprintf(to, "[[maybe_unused]] %s %s%zu = {};\n", type, plain, i);
        } else {
            fprintf(to, "[[maybe_unused]] %s %s = {};\n", type, plain);
        }
    } while (accept(','));
    expect(";");
}

struct array {
    char name[NAME];
    size_t align, bytes;
};

static size_t type_bytes(const char *type)
{
    const size_t bits = isdigit((unsigned char)type[2]) ? strtoul(type + 2, NULL, 10) : 0;
    if (!bits || bits % 8)
        stop("something of type `%s`", type);
    return bits / 8;
}

/* .align 8 .b8 name[120], or .u64 name */
static struct array array(void)
{
    struct array a = {.align = 1};
    const char *w = word();
    if (!strcmp(w, ".align")) {
        a.align = number();
        w = word();
    }
    if (w[0] != '.')
        stop("`%s` where a type should be", w);
    a.bytes = type_bytes(w);
    strcpy(a.name, word());
    if (accept('[')) {
        a.bytes *= number();
        expect("]");
    }
    return a;
}

/* ---- kernels ---- */

static void body(FILE *to, struct kernel *k)
{
    int depth = 1;
    while (depth) {
        skip_space();
        fprintf(to, "#line %u\n", line);
        char w[NAME];
        strcpy(w, word());
        if (!*w)
            stop("the file ends within a kernel");
        if (!strcmp(w, "{") || !strcmp(w, "}")) {
            depth += *w == '{' ? 1 : -1;
            fprintf(to, "%s\n", w);
        } else if (!strcmp(w, ".reg")) {
            registers(to);
        } else if (!strcmp(w, ".shared")) {
            const struct array a = array();
            expect(";");
            k->shared = (k->shared + a.align - 1) / a.align * a.align;
            fprintf(to, "const uint32_t %s = %zu;\n", a.name, k->shared);
            k->shared += a.bytes;
        } else if (!strcmp(w, ".local")) {
            const struct array a = array();
            expect(";");
            fprintf(to,
                    "alignas(16) unsigned char memory%s[%zu];\n"
                    "const uint64_t %s = (uint64_t)(uintptr_t)memory%s;\n",
                    a.name, a.bytes, a.name, a.name);
        } else if (!strcmp(w, ".pragma")) {
            skip_statement();
        } else if (*w == '$' && accept(':')) {
            fprintf(to, "%s:;\n", w);
        } else if (*w == '@') {
            const char *no = accept('!') ? "!" : "";
            fprintf(to, "if (%s%s) ", no, word() + 1);
            operation(to, word());
        } else {
            operation(to, w);
        }
    }
}

static void kernel(FILE *to, struct kernel *k, unsigned number_of_kernel)
{
    strcpy(k->name, word());
    char name[PARAMETERS][NAME];
    expect("(");
    while (!accept(')')) {
        expect(".param");
        const struct array a = array();
        if (k->parameters == PARAMETERS)
            stop("more than %d parameters", PARAMETERS);
        strcpy(name[k->parameters], a.name);
        k->parameter[k->parameters++] = a.bytes;
        accept(',');
    }
    while (!accept('{')) {
        if (strcmp(word(), ".maxntid"))
            continue;
        k->threads = (unsigned)number();
        while (accept(','))
            if (number() != 1)
                stop("blocks of more than one dimension");
    }
    fprintf(to, "static void kernel_%u(const void *const *parameters)\n{\n(void)parameters;\n",
            number_of_kernel);
    for (unsigned i = 0; i < k->parameters; i++)
        fprintf(to, "[[maybe_unused]] const uint64_t %s = (uint64_t)(uintptr_t)parameters[%u];\n",
                name[i], i);
    body(to, k);
}

/*
 * The kernel as the source names it: _Z4nameILb1ELi2EEv3job is name<1 != 0, 2>; what stands in a
 * namespace without a name is found without it.
 */
static void print_source_name(FILE *to, const char *mangled)
{
    const char *p = mangled;
    if (strncmp(p, "_Z", 2))
        stop("the kernel `%s` has no C++ name", mangled);
    p += 2;
    const bool nested = *p == 'N';
    p += nested || *p == 'L';
    const char *name;
    unsigned long length;
    do {
        char *end;
        length = strtoul(p, &end, 10);
        if (!length || strlen(end) < length)
            stop("the name `%s`", mangled);
        name = end;
        p = end + length;
    } while (nested && isdigit((unsigned char)*p));
    fprintf(to, "%.*s", (int)length, name);
    if (*p != 'I')
        return;
    const char *between = "<";
    for (p++; *p == 'L'; between = ", ") {
        const char type = p[1];
        char *end;
        const unsigned long value = strtoul(p + 2, &end, 10);
        if (!strchr("bij", type) || *end != 'E')
            stop("the template arguments of `%s`", mangled);
        fprintf(to, type == 'b' ? "%s%lu != 0" : "%s%lu", between, value);
        p = end + 1;
    }
    fputs(">", to);
}

static void print_table(FILE *to, const struct kernel *kernels, unsigned count)
{
    fputs("static const struct vj_ptx_kernel vj_ptx_kernels[] = {\n", to);
    for (unsigned i = 0; i < count; i++) {
        const struct kernel *k = &kernels[i];
        fputs("{vj_ptx_source(", to);
        print_source_name(to, k->name);
        fputs("), \"", to);
        print_source_name(to, k->name);
        fprintf(to, "\", vj_ptx::known::kernel_%u, %u, %zu, %u, {", i, k->threads, k->shared,
                k->parameters);
        for (unsigned j = 0; j < k->parameters; j++)
            fprintf(to, "%zu, ", k->parameter[j]);
        fputs("}},\n", to);
    }
    fputs("};\nstatic const vj_ptx_registration vj_ptx_of_this_file(vj_ptx_kernels, "
          "sizeof(vj_ptx_kernels) / sizeof(*vj_ptx_kernels));\n",
          to);
}

/* ---- files ---- */

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        stop("cannot be read");
    const long size = ftell(f);
    char *all = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!all || fseek(f, 0, SEEK_SET) || fread(all, 1, (size_t)size, f) != (size_t)size)
        stop("cannot be read");
    all[size] = 0;
    fclose(f);
    return all;
}

/* Kernels of the text as functions. */
static unsigned kernels_of_file(FILE *to, struct kernel *kernels)
{
    unsigned count = 0;
    fprintf(to, "#line 1 \"%s\"\n", file_name);
    for (;;) {
        char w[NAME];
        strcpy(w, word());
        if (!*w)
            return count;
        if (!strcmp(w, ".version") || !strcmp(w, ".target") || !strcmp(w, ".address_size")) {
            text += strcspn(text, "\n");
        } else if (!strcmp(w, ".entry")) {
            if (count == KERNELS)
                stop("more than %d kernels", KERNELS);
            kernel(to, &kernels[count], count);
            count++;
        } else if (strcmp(w, ".visible") && strcmp(w, ".weak")) {
            stop("`%s`, which is not translated", w);
        }
    }
}

static void translate(FILE *to)
{
    static struct kernel kernels[KERNELS];
    char *const all = text = read_all(file_name);
    char *functions = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&functions, &size);
    if (!memory)
        stop("out of memory");
    const unsigned count = kernels_of_file(memory, kernels);
    if (fclose(memory))
        stop("out of memory");

    const char *name = strrchr(file_name, '/') ? strrchr(file_name, '/') + 1 : file_name;
    fprintf(to, "#include \"cuda/%.*s.cu\"\n#include \"tests/cuda/ptx/operations.h\"\n",
            (int)strcspn(name, "."), name);
    /* Found where vj_ptx::known, which hides what is outside of it, has no such operation. */
    fputs("namespace vj_ptx {\n", to);
    for (unsigned i = 0; i < operation_count; i++) {
        fputs("template <typename... Any> [[maybe_unused]] static void ", to);
        print_as_identifier(to, operations[i]);
        fprintf(to, "(const Any &...) { unknown(\"%s\"); }\n", operations[i]);
        free(operations[i]);
    }
    fputs("namespace known {\n", to);
    fwrite(functions, 1, size, to);
    fputs("}\n}\n", to);
    if (count)
        print_table(to, kernels, count);
    free(functions);
    free(all);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s FILE.ptx FILE.cpp\n", argv[0]);
        return 2;
    }
    file_name = argv[1];
    FILE *to = fopen(argv[2], "w");
    if (!to)
        stop("%s cannot be written", argv[2]);
    translate(to);
    const bool failed = ferror(to);
    if (fclose(to) || failed)
        stop("%s cannot be written", argv[2]);
    return 0;
}
