/* SPDX-License-Identifier: MIT */
/*
 * Pickle, protocol 2 (the one torch.save() writes), as data alone.
 *
 * Every opcode makes at most one value and pushes at most one, so that tables as long as the pickle
 * hold whatever it can say, and nothing here recurses or grows. Values are numbered in the order
 * they are made, from 1.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/pth_internal.h"

enum {
    PICKLE_MAX = 1 << 20, /* bytes; a state dictionary of four tensors takes about a thousand */
    TENSORS_MAX = 1024,
};

enum kind {
    KIND_MARK,
    KIND_PLAIN, /* None, a truth value, a real number: nothing that anybody looks at */
    KIND_INTEGER,
    KIND_TEXT,
    KIND_TUPLE,
    KIND_LIST, /* its elements are not kept */
    KIND_DICT,
    KIND_GLOBAL,
    KIND_STORAGE,
    KIND_TENSOR,
};

/* The globals that may occur: nothing is called, they only say what is being built. */
enum global { ORDERED_DICT, REBUILD_TENSOR, FLOAT_STORAGE };
static const struct {
    const char *module, *name;
} globals[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict"},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2"},
    [FLOAT_STORAGE] = {"torch", "FloatStorage"},
};
enum { GLOBALS = sizeof(globals) / sizeof(globals[0]) };

struct value {
    enum kind kind;
    union {
        int64_t integer;
        enum global global;
        struct vj_span text;
        struct {
            uint32_t first, count; /* in items */
        } tuple;
        struct {
            uint32_t first, last; /* in pairs; 0: none */
        } dict;
        struct {
            uint32_t key;
            int64_t values;
        } storage;
        uint32_t arguments; /* of a tensor: the tuple it was made from */
    };
};

struct pair {
    uint32_t key, value, next;
};

struct pickle {
    struct vj_span data;
    size_t at, opcode_at;
    struct value *value; /* [1 + values] */
    uint32_t *stack, *items, *memo;
    struct pair *pair; /* [1 + pairs] */
    uint32_t values, depth, item_count, pairs;
};

/* Opcodes by name, for errors; those that are read are all here, and the ones met most often. */
static const char *opcode_name(uint8_t opcode)
{
    static const struct {
        uint8_t opcode;
        const char *name;
    } names[] = {
        {'(', "MARK"},
        {'.', "STOP"},
        {'0', "POP"},
        {'1', "POP_MARK"},
        {'2', "DUP"},
        {'F', "FLOAT"},
        {'G', "BINFLOAT"},
        {'I', "INT"},
        {'J', "BININT"},
        {'K', "BININT1"},
        {'L', "LONG"},
        {'M', "BININT2"},
        {'N', "NONE"},
        {'P', "PERSID"},
        {'Q', "BINPERSID"},
        {'R', "REDUCE"},
        {'S', "STRING"},
        {'T', "BINSTRING"},
        {'U', "SHORT_BINSTRING"},
        {'V', "UNICODE"},
        {'X', "BINUNICODE"},
        {'a', "APPEND"},
        {'b', "BUILD"},
        {'c', "GLOBAL"},
        {'d', "DICT"},
        {'}', "EMPTY_DICT"},
        {'e', "APPENDS"},
        {'g', "GET"},
        {'h', "BINGET"},
        {'i', "INST"},
        {'j', "LONG_BINGET"},
        {'l', "LIST"},
        {']', "EMPTY_LIST"},
        {'o', "OBJ"},
        {'p', "PUT"},
        {'q', "BINPUT"},
        {'r', "LONG_BINPUT"},
        {'s', "SETITEM"},
        {'t', "TUPLE"},
        {')', "EMPTY_TUPLE"},
        {'u', "SETITEMS"},
        {'B', "BINBYTES"},
        {'C', "SHORT_BINBYTES"},
        {0x80, "PROTO"},
        {0x81, "NEWOBJ"},
        {0x82, "EXT1"},
        {0x83, "EXT2"},
        {0x84, "EXT4"},
        {0x85, "TUPLE1"},
        {0x86, "TUPLE2"},
        {0x87, "TUPLE3"},
        {0x88, "NEWTRUE"},
        {0x89, "NEWFALSE"},
        {0x8a, "LONG1"},
        {0x8b, "LONG4"},
        {0x8c, "SHORT_BINUNICODE"},
        {0x8d, "BINUNICODE8"},
        {0x8e, "BINBYTES8"},
        {0x8f, "EMPTY_SET"},
        {0x90, "ADDITEMS"},
        {0x91, "FROZENSET"},
        {0x92, "NEWOBJ_EX"},
        {0x93, "STACK_GLOBAL"},
        {0x94, "MEMOIZE"},
        {0x95, "FRAME"},
        {0x96, "BYTEARRAY8"},
        {0x97, "NEXT_BUFFER"},
        {0x98, "READONLY_BUFFER"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].opcode == opcode)
            return names[i].name;
    return "unknown";
}

static int fail_here(const struct pickle *p, const char *what, struct vj_error *err)
{
    uint8_t opcode = p->data.data[p->opcode_at];
    return vj_fail(err, -EINVAL, "data.pkl: opcode %s (0x%02x) at offset %zu: %s",
                   opcode_name(opcode), opcode, p->opcode_at, what);
}

/* ---- the machine ---- */

static int take_bytes(struct pickle *p, size_t size, const uint8_t **bytes, struct vj_error *err)
{
    if (size > p->data.size - p->at)
        return fail_here(p, "its argument is cut off", err);
    *bytes = p->data.data + p->at;
    p->at += size;
    return 0;
}

static int take_number(struct pickle *p, size_t size, uint64_t *number, struct vj_error *err)
{
    const uint8_t *bytes = NULL;
    int r = take_bytes(p, size, &bytes, err);
    *number = 0;
    for (size_t i = size; !r && i-- > 0;)
        *number = *number << 8 | bytes[i];
    return r;
}

/* Text up to a line feed, which is taken, too. */
static int take_line(struct pickle *p, struct vj_span *line, struct vj_error *err)
{
    const uint8_t *start = p->data.data + p->at;
    const uint8_t *end = memchr(start, '\n', p->data.size - p->at);
    if (!end)
        return fail_here(p, "its line has no end", err);
    *line = (struct vj_span){start, (size_t)(end - start)};
    p->at += line->size + 1;
    return 0;
}

/* There is room: see the head of the file. */
static int push(struct pickle *p, struct value value)
{
    p->value[++p->values] = value;
    p->stack[p->depth++] = p->values;
    return 0;
}

static struct value *top(const struct pickle *p, uint32_t below)
{
    return &p->value[p->stack[p->depth - 1 - below]];
}

/* Whether n values lie on the stack above the last mark. */
static bool has(const struct pickle *p, uint32_t n)
{
    if (p->depth < n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (top(p, i)->kind == KIND_MARK)
            return false;
    return true;
}

/* Stack index of the last mark, or -1. */
static int64_t last_mark(const struct pickle *p)
{
    int64_t i = (int64_t)p->depth - 1;
    while (i >= 0 && p->value[p->stack[i]].kind != KIND_MARK)
        i--;
    return i;
}

/* Replaces the stack's values from index `first` on, and with `marked` the mark below, by a tuple.
 */
static int make_tuple(struct pickle *p, uint32_t first, bool marked)
{
    uint32_t count = p->depth - first;
    struct value tuple = {.kind = KIND_TUPLE, .tuple = {p->item_count, count}};
    memcpy(p->items + p->item_count, p->stack + first, count * sizeof(*p->items));
    p->item_count += count;
    p->depth = first - marked;
    return push(p, tuple);
}

static struct value *item(const struct pickle *p, const struct value *tuple, uint32_t i)
{
    return &p->value[p->items[tuple->tuple.first + i]];
}

/* Moves pairs of key and value from the stack's end, `first` on, into the dictionary below them. */
static int set_items(struct pickle *p, uint32_t first, bool marked, struct vj_error *err)
{
    uint32_t below = first - marked;
    if ((p->depth - first) % 2 || below == 0 || p->value[p->stack[below - 1]].kind != KIND_DICT)
        return fail_here(p, "needs a dictionary and pairs", err);
    struct value *dict = &p->value[p->stack[below - 1]];
    for (uint32_t i = first; i < p->depth; i += 2) {
        p->pair[++p->pairs] = (struct pair){.key = p->stack[i], .value = p->stack[i + 1]};
        if (dict->dict.last)
            p->pair[dict->dict.last].next = p->pairs;
        else
            dict->dict.first = p->pairs;
        dict->dict.last = p->pairs;
    }
    p->depth = below;
    return 0;
}

static bool is_global(const struct value *v, enum global global)
{
    return v->kind == KIND_GLOBAL && v->global == global;
}

static int read_global(struct pickle *p, struct vj_error *err)
{
    struct vj_span module = {0}, name = {0};
    int r = take_line(p, &module, err);
    if (!r)
        r = take_line(p, &name, err);
    for (int i = 0; !r && i < GLOBALS; i++)
        if (strlen(globals[i].module) == module.size && strlen(globals[i].name) == name.size &&
            memcmp(globals[i].module, module.data, module.size) == 0 &&
            memcmp(globals[i].name, name.data, name.size) == 0)
            return push(p, (struct value){.kind = KIND_GLOBAL, .global = (enum global)i});
    if (r)
        return r;
    return vj_fail(err, -ENOTSUP,
                   "data.pkl: opcode GLOBAL (0x63) at offset %zu: %.*s.%.*s is refused; a file of "
                   "weights needs nothing but dictionaries and float32 tensors (save the "
                   "state_dict of the network)",
                   p->opcode_at, module.size < 60 ? (int)module.size : 60, module.data,
                   name.size < 60 ? (int)name.size : 60, name.data);
}

/* ("storage", torch.FloatStorage, key, location, number of values) */
static int read_storage(struct pickle *p, struct vj_error *err)
{
    if (!has(p, 1) || top(p, 0)->kind != KIND_TUPLE || top(p, 0)->tuple.count != 5)
        return fail_here(p, "needs a tuple of five", err);
    const struct value *tuple = top(p, 0);
    const struct value *word = item(p, tuple, 0), *count = item(p, tuple, 4);
    if (word->kind != KIND_TEXT || word->text.size != 7 ||
        memcmp(word->text.data, "storage", 7) != 0 ||
        !is_global(item(p, tuple, 1), FLOAT_STORAGE) || item(p, tuple, 2)->kind != KIND_TEXT ||
        item(p, tuple, 3)->kind != KIND_TEXT || count->kind != KIND_INTEGER || count->integer < 0)
        return fail_here(p, "does not describe a float32 storage", err);
    struct value storage = {.kind = KIND_STORAGE,
                            .storage = {p->items[tuple->tuple.first + 2], count->integer}};
    p->depth--;
    return push(p, storage);
}

/* (storage, offset, sizes, strides, ...); what they say is judged when the tensor is wanted. */
static bool is_tensor(const struct pickle *p, const struct value *tuple)
{
    if (tuple->tuple.count < 6 || tuple->tuple.count > 7)
        return false;
    const struct value *sizes = item(p, tuple, 2), *strides = item(p, tuple, 3);
    bool good = item(p, tuple, 0)->kind == KIND_STORAGE &&
                item(p, tuple, 1)->kind == KIND_INTEGER && sizes->kind == KIND_TUPLE &&
                strides->kind == KIND_TUPLE && sizes->tuple.count == strides->tuple.count &&
                sizes->tuple.count <= VJ_PICKLE_RANK_MAX;
    for (uint32_t i = 0; good && i < sizes->tuple.count; i++)
        good = item(p, sizes, i)->kind == KIND_INTEGER && item(p, strides, i)->kind == KIND_INTEGER;
    return good;
}

static int reduce(struct pickle *p, struct vj_error *err)
{
    if (!has(p, 2) || top(p, 0)->kind != KIND_TUPLE || top(p, 1)->kind != KIND_GLOBAL)
        return fail_here(p, "needs a global and a tuple", err);
    const struct value *arguments = top(p, 0);
    uint32_t number = p->stack[p->depth - 1];
    struct value made = {.kind = KIND_DICT};
    switch (top(p, 1)->global) {
    case ORDERED_DICT:
        if (arguments->tuple.count != 0)
            return fail_here(p, "an OrderedDict must start empty", err);
        break;
    case REBUILD_TENSOR:
        if (!is_tensor(p, arguments))
            return fail_here(p, "the arguments do not describe a tensor", err);
        made = (struct value){.kind = KIND_TENSOR, .arguments = number};
        break;
    case FLOAT_STORAGE:
        return fail_here(p, "a storage cannot be called", err);
    }
    p->depth -= 2;
    return push(p, made);
}

static int put(struct pickle *p, uint64_t index, struct vj_error *err)
{
    if (!has(p, 1))
        return fail_here(p, "nothing to remember", err);
    if (index >= p->data.size)
        return fail_here(p, "its number is larger than the pickle can need", err);
    p->memo[index] = p->stack[p->depth - 1];
    return 0;
}

static int get(struct pickle *p, uint64_t index, struct vj_error *err)
{
    if (index >= p->data.size || p->memo[index] == 0)
        return fail_here(p, "its number was never remembered", err);
    p->stack[p->depth++] = p->memo[index];
    return 0;
}

static int push_integer(struct pickle *p, int64_t integer)
{
    return push(p, (struct value){.kind = KIND_INTEGER, .integer = integer});
}

/* Little-endian two's complement of up to 8 bytes. */
static int read_long(struct pickle *p, struct vj_error *err)
{
    uint64_t size, bits;
    int r = take_number(p, 1, &size, err);
    if (!r && size > 8)
        r = fail_here(p, "a number of more than 64 bits", err);
    if (!r)
        r = take_number(p, (size_t)size, &bits, err);
    if (r)
        return r;
    if (size > 0 && size < 8 && bits >> (8 * size - 1) & 1)
        bits |= UINT64_MAX << (8 * size);
    return push_integer(p, (int64_t)bits);
}

static int read_text(struct pickle *p, struct vj_error *err)
{
    uint64_t size;
    struct value text = {.kind = KIND_TEXT};
    int r = take_number(p, 4, &size, err);
    if (!r)
        r = take_bytes(p, (size_t)size, &text.text.data, err);
    text.text.size = (size_t)size;
    return r ? r : push(p, text);
}

/* List elements are forgotten, and so is the state given to a dictionary (its `_metadata`). */
static int drop_into(struct pickle *p, uint32_t first, bool marked, enum kind kind,
                     struct vj_error *err)
{
    uint32_t below = first - marked;
    if (below == 0 || p->value[p->stack[below - 1]].kind != kind)
        return fail_here(p, kind == KIND_LIST ? "needs a list" : "needs a dictionary", err);
    p->depth = below;
    return 0;
}

/* Opcodes that take what lies above the last mark. */
static int marked_step(struct pickle *p, uint8_t opcode, struct vj_error *err)
{
    int64_t mark = last_mark(p);
    if (mark < 0)
        return fail_here(p, "there is no mark", err);
    uint32_t first = (uint32_t)mark + 1;
    switch (opcode) {
    case 't':
        return make_tuple(p, first, true);
    case 'u':
        return set_items(p, first, true, err);
    default:
        return drop_into(p, first, true, KIND_LIST, err);
    }
}

/* Opcodes that take a fixed number of values. */
static int fixed_step(struct pickle *p, uint8_t opcode, struct vj_error *err)
{
    uint32_t n = opcode >= 0x85 ? opcode - 0x84u : opcode == 's' ? 2 : opcode == ')' ? 0 : 1;
    if (!has(p, n))
        return fail_here(p, "too few values before it", err);
    switch (opcode) {
    case 's':
        return set_items(p, p->depth - 2, false, err);
    case 'a':
        return drop_into(p, p->depth - 1, false, KIND_LIST, err);
    case 'b':
        return drop_into(p, p->depth - 1, false, KIND_DICT, err);
    default:
        return make_tuple(p, p->depth - n, false);
    }
}

static int step(struct pickle *p, uint8_t opcode, struct vj_error *err)
{
    uint64_t number = 0;
    size_t bytes = opcode == 'j' || opcode == 'r' || opcode == 'J'   ? 4
                   : opcode == 'M'                                   ? 2
                   : opcode == 'G'                                   ? 8
                   : opcode == 'h' || opcode == 'q' || opcode == 'K' ? 1
                                                                     : 0;
    int r = take_number(p, bytes, &number, err);
    if (r)
        return r;
    switch (opcode) {
    case '(':
        return push(p, (struct value){.kind = KIND_MARK});
    case 'N':
    case 'G':
    case 0x88:
    case 0x89:
        return push(p, (struct value){.kind = KIND_PLAIN});
    case '}':
        return push(p, (struct value){.kind = KIND_DICT});
    case ']':
        return push(p, (struct value){.kind = KIND_LIST});
    case 'J':
        return push_integer(p, (int32_t)(uint32_t)number);
    case 'K':
    case 'M':
        return push_integer(p, (int64_t)number);
    case 0x8a:
        return read_long(p, err);
    case 'X':
        return read_text(p, err);
    case 'c':
        return read_global(p, err);
    case 'Q':
        return read_storage(p, err);
    case 'R':
        return reduce(p, err);
    case 'q':
    case 'r':
        return put(p, number, err);
    case 'h':
    case 'j':
        return get(p, number, err);
    case 't':
    case 'u':
    case 'e':
        return marked_step(p, opcode, err);
    case ')':
    case 0x85:
    case 0x86:
    case 0x87:
    case 's':
    case 'a':
    case 'b':
        return fixed_step(p, opcode, err);
    default:
        return fail_here(p, "refused; a file of weights has no need of it", err);
    }
}

static int interpret(struct pickle *p, struct vj_error *err)
{
    if (p->data.size < 2 || p->data.data[0] != 0x80 || p->data.data[1] != 2)
        return vj_fail(err, -ENOTSUP,
                       "data.pkl: not a pickle of protocol 2, which torch.save() writes unless "
                       "told otherwise");
    p->at = 2;
    while (p->at < p->data.size) {
        p->opcode_at = p->at;
        uint8_t opcode = p->data.data[p->at++];
        if (opcode == '.')
            return has(p, 1) && p->depth == 1 ? 0 : fail_here(p, "not one value is left", err);
        int r = step(p, opcode, err);
        if (r)
            return r;
    }
    return vj_fail(err, -EINVAL, "data.pkl: ends without a STOP: the file is cut off");
}

/* ---- the state dictionary ---- */

static const struct value *entry(const struct pickle *p, const struct value *dict, const char *key)
{
    for (uint32_t i = dict->dict.first; i; i = p->pair[i].next) {
        const struct value *k = &p->value[p->pair[i].key];
        if (k->kind == KIND_TEXT && k->text.size == strlen(key) &&
            memcmp(k->text.data, key, k->text.size) == 0)
            return &p->value[p->pair[i].value];
    }
    return NULL;
}

static int find_state(const struct value **state, const struct pickle *p, struct vj_error *err)
{
    static const char *const keys[] = {"state_dict", "model"};
    const struct value *root = &p->value[p->stack[0]];
    if (root->kind != KIND_DICT)
        return vj_fail(err, -EINVAL,
                       "data.pkl: holds no dictionary of tensors; save the state_dict of the "
                       "network");
    *state = root;
    for (int i = 0; i < 2; i++) {
        const struct value *nested = entry(p, root, keys[i]);
        if (nested && nested->kind == KIND_DICT) {
            *state = nested;
            return 0;
        }
    }
    return 0;
}

static int describe(struct vj_pickle_tensor *t, const struct pickle *p, const struct pair *pair,
                    struct vj_error *err)
{
    const struct value *key = &p->value[pair->key], *value = &p->value[pair->value];
    if (key->kind != KIND_TEXT)
        return vj_fail(err, -EINVAL, "data.pkl: the state dictionary has a key that is not a text");
    int shown = key->text.size < 80 ? (int)key->text.size : 80;
    if (value->kind != KIND_TENSOR)
        return vj_fail(err, -EINVAL, "data.pkl: entry %.*s of the state dictionary is not a tensor",
                       shown, key->text.data);
    const struct value *arguments = &p->value[value->arguments];
    const struct value *storage = item(p, arguments, 0), *offset = item(p, arguments, 1);
    const struct value *sizes = item(p, arguments, 2), *strides = item(p, arguments, 3);
    if (offset->integer < 0)
        return vj_fail(err, -EINVAL, "data.pkl: tensor %.*s has the offset %" PRId64, shown,
                       key->text.data, offset->integer);
    *t = (struct vj_pickle_tensor){.name = key->text,
                                   .storage = p->value[storage->storage.key].text,
                                   .storage_values = (uint64_t)storage->storage.values,
                                   .offset = (uint64_t)offset->integer,
                                   .rank = (int)sizes->tuple.count};
    for (int i = 0; i < t->rank; i++) {
        int64_t size = item(p, sizes, (uint32_t)i)->integer;
        int64_t stride = item(p, strides, (uint32_t)i)->integer;
        if (size < 0 || stride < 0)
            return vj_fail(err, -EINVAL, "data.pkl: tensor %.*s has a negative size or stride",
                           shown, key->text.data);
        t->shape[i] = (uint64_t)size;
        t->stride[i] = (uint64_t)stride;
    }
    return 0;
}

static int collect(struct vj_pickle_tensor **list, size_t *count, const struct pickle *p,
                   struct vj_error *err)
{
    const struct value *state = NULL;
    int r = find_state(&state, p, err);
    size_t n = 0;
    for (uint32_t i = r ? 0 : state->dict.first; i; i = p->pair[i].next)
        n++;
    if (!r && n > TENSORS_MAX)
        r = vj_fail(err, -E2BIG, "data.pkl: a state dictionary of %zu tensors; %d are read at most",
                    n, TENSORS_MAX);
    if (r)
        return r;
    *list = vj_calloc(n, sizeof(**list));
    if (!*list)
        return vj_fail(err, -ENOMEM, "out of memory for %zu tensors", n);
    for (uint32_t i = state->dict.first; !r && i; i = p->pair[i].next)
        r = describe(&(*list)[(*count)++], p, &p->pair[i], err);
    return r;
}

int vj_pickle_tensors(struct vj_pickle_tensor **list, size_t *count, struct vj_span data,
                      struct vj_error *err)
{
    *list = NULL;
    *count = 0;
    if (data.size > PICKLE_MAX)
        return vj_fail(err, -E2BIG,
                       "data.pkl: %zu bytes; at most %d are read: save the state_dict alone",
                       data.size, PICKLE_MAX);
    struct pickle p = {.data = data};
    size_t room = data.size + 1;
    p.value = vj_calloc(room, sizeof(*p.value));
    p.stack = vj_calloc(room, sizeof(*p.stack));
    p.items = vj_calloc(room, sizeof(*p.items));
    p.memo = vj_calloc(room, sizeof(*p.memo));
    p.pair = vj_calloc(room, sizeof(*p.pair));
    int r = p.value && p.stack && p.items && p.memo && p.pair
                ? interpret(&p, err)
                : vj_fail(err, -ENOMEM, "out of memory for a pickle of %zu bytes", data.size);
    if (!r)
        r = collect(list, count, &p, err);
    if (r) {
        free(*list);
        *list = NULL;
        *count = 0;
    }
    free(p.value);
    free(p.stack);
    free(p.items);
    free(p.memo);
    free(p.pair);
    return r;
}
