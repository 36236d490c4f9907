/* SPDX-License-Identifier: MIT */
#include "host/maxflow.h"

#include <string.h>

#include "host/checked.h"

/* Marks in the place of a parent's direction. */
enum { ROOT = VJ_FLOW_ARCS, ORPHAN, NONE };

/* Number 0 is a corner of the frame, which is in no queue. */
#define NOT_QUEUED   0u
#define FAR          UINT32_MAX
#define NO_DIRECTION VJ_FLOW_ARCS

/* A search that is confined to some rows of the grid; no two at a time share a row. */
struct search {
    struct vj_flow_node *node;
    uint32_t first, count;        /* nodes of these rows */
    int64_t step[VJ_FLOW_ARCS];   /* from a node's number to its neighbours' */
    uint32_t active, last_active; /* ends of the queue; the last one points at itself */
    uint32_t orphan, last_orphan; /* the same */
    uint32_t time;
};

size_t vj_flow_node_count(size_t width, size_t height)
{
    size_t columns, rows, nodes;
    if (!vj_size_add(width, 2, &columns) || !vj_size_add(height, 2, &rows) ||
        !vj_size_mul(columns, rows, &nodes) || nodes > UINT32_MAX)
        return 0;
    return nodes;
}

static uint32_t neighbour(const struct search *s, uint32_t p, int direction)
{
    return (uint32_t)(p + s->step[direction]);
}

static bool within(const struct search *s, uint32_t p)
{
    return p - s->first < s->count;
}

/* --- queues ----------------------------------------------------------------------------------- */

static void queue_active(struct search *s, uint32_t p)
{
    if (s->node[p].next_active != NOT_QUEUED)
        return;
    s->node[p].next_active = p;
    if (s->active == NOT_QUEUED)
        s->active = p;
    else
        s->node[s->last_active].next_active = p;
    s->last_active = p;
}

static uint32_t take_active(struct search *s)
{
    uint32_t p = s->active;
    if (p == NOT_QUEUED)
        return p;
    uint32_t next = s->node[p].next_active;
    s->active = next == p ? NOT_QUEUED : next;
    s->node[p].next_active = NOT_QUEUED;
    return p;
}

/* Orphans of a path that filled up come first, the children of nodes that were given up last. */
static void queue_orphan(struct search *s, uint32_t p, bool in_front)
{
    struct vj_flow_node *n = &s->node[p];
    n->parent = ORPHAN;
    if (s->orphan == NOT_QUEUED) {
        n->next_orphan = p;
        s->orphan = s->last_orphan = p;
    } else if (in_front) {
        n->next_orphan = s->orphan;
        s->orphan = p;
    } else {
        n->next_orphan = p;
        s->node[s->last_orphan].next_orphan = p;
        s->last_orphan = p;
    }
}

static uint32_t take_orphan(struct search *s)
{
    uint32_t p = s->orphan;
    if (p == NOT_QUEUED)
        return p;
    uint32_t next = s->node[p].next_orphan;
    s->orphan = next == p ? NOT_QUEUED : next;
    return p;
}

/* --- trees ------------------------------------------------------------------------------------ */

/* Capacity left on the arc that would make p a child of its neighbour q in q's tree. */
static uint8_t capacity_to_child(const struct search *s, uint32_t p, int direction, uint32_t q,
                                 uint8_t tree)
{
    return tree == VJ_FLOW_SOURCE ? s->node[q].arc[direction ^ 1] : s->node[p].arc[direction];
}

static void adopt(struct search *s, uint32_t p, int direction, uint32_t parent)
{
    struct vj_flow_node *n = &s->node[p];
    n->parent = (uint8_t)direction;
    n->time = s->node[parent].time;
    n->distance = s->node[parent].distance + 1;
}

/* Nodes from p to its root, or FAR when it leads to an orphan. The way is marked as known. */
static uint32_t distance_to_root(struct search *s, uint32_t p)
{
    uint32_t steps = 0, q = p;
    for (;; q = neighbour(s, q, s->node[q].parent)) {
        struct vj_flow_node *n = &s->node[q];
        if (n->time == s->time) {
            steps += n->distance;
            break;
        }
        steps++;
        if (n->parent == ROOT) {
            n->time = s->time;
            n->distance = 1;
            break;
        }
        if (n->parent == ORPHAN || n->parent == NONE)
            return FAR;
    }
    uint32_t left = steps;
    for (q = p; s->node[q].time != s->time; q = neighbour(s, q, s->node[q].parent)) {
        s->node[q].time = s->time;
        s->node[q].distance = left--;
    }
    return steps;
}

/* No neighbour can take the orphan in: it leaves its tree, and its children are orphans too. */
static void give_up(struct search *s, uint32_t p)
{
    uint8_t tree = s->node[p].tree;
    for (int d = 0; d < VJ_FLOW_ARCS; d++) {
        uint32_t q = neighbour(s, p, d);
        if (!within(s, q) || s->node[q].tree != tree)
            continue;
        if (capacity_to_child(s, p, d, q, tree) > 0)
            queue_active(s, q);
        if (s->node[q].parent == (d ^ 1))
            queue_orphan(s, q, false);
    }
    s->node[p].tree = VJ_FLOW_FREE;
    s->node[p].parent = NONE;
}

/* Looks for the neighbour of the same tree that is nearest to the root. */
static void find_parent(struct search *s, uint32_t p)
{
    uint8_t tree = s->node[p].tree;
    uint32_t nearest = FAR;
    int best = NO_DIRECTION;
    for (int d = 0; d < VJ_FLOW_ARCS; d++) {
        uint32_t q = neighbour(s, p, d);
        if (!within(s, q) || s->node[q].tree != tree || capacity_to_child(s, p, d, q, tree) == 0)
            continue;
        uint32_t distance = distance_to_root(s, q);
        if (distance < nearest) {
            nearest = distance;
            best = d;
        }
    }
    if (best == NO_DIRECTION) {
        give_up(s, p);
        return;
    }
    s->node[p].parent = (uint8_t)best;
    s->node[p].time = s->time;
    s->node[p].distance = nearest + 1;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* The least capacity from the root to p (source) or from p to the root (sink). */
static int bottleneck(const struct search *s, uint32_t p, uint8_t tree)
{
    int least = INT16_MAX;
    while (s->node[p].parent != ROOT) {
        int d = s->node[p].parent;
        uint32_t q = neighbour(s, p, d);
        int capacity = capacity_to_child(s, p, d, q, tree);
        least = capacity < least ? capacity : least;
        p = q;
    }
    int terminal = s->node[p].terminal;
    terminal = terminal < 0 ? -terminal : terminal;
    return terminal < least ? terminal : least;
}

/* Sends `amount` over the same way; arcs that fill up make orphans. */
static void send(struct search *s, uint32_t p, uint8_t tree, int amount)
{
    while (s->node[p].parent != ROOT) {
        int d = s->node[p].parent;
        uint32_t q = neighbour(s, p, d);
        uint8_t *down = &s->node[q].arc[d ^ 1], *up = &s->node[p].arc[d];
        uint8_t *used = tree == VJ_FLOW_SOURCE ? down : up;
        uint8_t *opposite = tree == VJ_FLOW_SOURCE ? up : down;
        *used = (uint8_t)(*used - amount);
        *opposite = (uint8_t)(*opposite + amount);
        if (*used == 0)
            queue_orphan(s, p, true);
        p = q;
    }
    int16_t *terminal = &s->node[p].terminal;
    *terminal = (int16_t)(tree == VJ_FLOW_SOURCE ? *terminal - amount : *terminal + amount);
    if (*terminal == 0)
        queue_orphan(s, p, true);
}

/* Fills the way from the source over p and its neighbour q to the sink. */
static void augment(struct search *s, uint32_t p, int direction, uint32_t q)
{
    uint8_t *arc = &s->node[p].arc[direction], *opposite = &s->node[q].arc[direction ^ 1];
    int amount = *arc;
    int before = bottleneck(s, p, VJ_FLOW_SOURCE), after = bottleneck(s, q, VJ_FLOW_SINK);
    amount = before < amount ? before : amount;
    amount = after < amount ? after : amount;
    *arc = (uint8_t)(*arc - amount);
    *opposite = (uint8_t)(*opposite + amount);
    send(s, p, VJ_FLOW_SOURCE, amount);
    send(s, q, VJ_FLOW_SINK, amount);
}

/*
 * Grows the tree from p into its neighbours; where it meets the other tree, fills that way. Returns
 * whether it did, which may have changed everything around p.
 */
static bool grow(struct search *s, uint32_t p)
{
    uint8_t tree = s->node[p].tree;
    for (int d = 0; d < VJ_FLOW_ARCS; d++) {
        uint32_t q = neighbour(s, p, d);
        if (!within(s, q) || capacity_to_child(s, q, d ^ 1, p, tree) == 0)
            continue;
        struct vj_flow_node *n = &s->node[q];
        if (n->tree == VJ_FLOW_FREE) {
            n->tree = tree;
            adopt(s, q, d ^ 1, p);
            queue_active(s, q);
        } else if (n->tree != tree) {
            s->time++;
            if (tree == VJ_FLOW_SOURCE)
                augment(s, p, d, q);
            else
                augment(s, q, d ^ 1, p);
            return true;
        } else if (n->time <= s->node[p].time && n->distance > s->node[p].distance) {
            adopt(s, q, d ^ 1, p); /* a shorter way to the root */
        }
    }
    return false;
}

static void search(struct search *s)
{
    uint32_t p;
    while ((p = take_active(s)) != NOT_QUEUED) {
        while (s->node[p].tree != VJ_FLOW_FREE && grow(s, p)) {
            uint32_t orphan;
            while ((orphan = take_orphan(s)) != NOT_QUEUED)
                find_parent(s, orphan);
        }
    }
}

/* --- bands ------------------------------------------------------------------------------------ */

/* Rows first..end-1 of the picture. */
static struct search search_of_rows(const struct vj_flow_grid *grid, size_t first, size_t end)
{
    size_t stride = grid->width + 2;
    return (struct search){
        .node = grid->node,
        .first = (uint32_t)((first + 1) * stride),
        .count = (uint32_t)((end - first) * stride),
        .step = {[VJ_FLOW_RIGHT] = 1,
                 [VJ_FLOW_LEFT] = -1,
                 [VJ_FLOW_DOWN] = (int64_t)stride,
                 [VJ_FLOW_UP] = -(int64_t)stride},
    };
}

/* Nodes with a terminal are roots, and all of them are to be looked at. */
static void plant(struct search *s)
{
    for (uint32_t p = s->first; p < s->first + s->count; p++) {
        struct vj_flow_node *n = &s->node[p];
        n->tree = n->terminal > 0 ? VJ_FLOW_SOURCE : n->terminal < 0 ? VJ_FLOW_SINK : VJ_FLOW_FREE;
        n->parent = n->tree == VJ_FLOW_FREE ? NONE : ROOT;
        n->time = 0;
        n->distance = 1;
        n->next_active = n->next_orphan = NOT_QUEUED;
        if (n->tree != VJ_FLOW_FREE)
            queue_active(s, p);
    }
}

static void clear_frame(const struct vj_flow_grid *grid)
{
    size_t stride = grid->width + 2, last = grid->height + 1;
    memset(grid->node, 0, stride * sizeof(*grid->node));
    memset(grid->node + last * stride, 0, stride * sizeof(*grid->node));
    for (size_t y = 1; y < last; y++) {
        memset(grid->node + y * stride, 0, sizeof(*grid->node));
        memset(grid->node + y * stride + stride - 1, 0, sizeof(*grid->node));
    }
}

void vj_flow_maximise(const struct vj_flow_grid *grid, int threads)
{
    size_t bands = grid->height < (size_t)threads ? grid->height : (size_t)threads;
    size_t stride = grid->width + 2;
    uint32_t time = 0;
    clear_frame(grid);
#pragma omp parallel for schedule(static) num_threads(threads) reduction(max : time)
    for (size_t band = 0; band < bands; band++) {
        struct search s =
            search_of_rows(grid, grid->height * band / bands, grid->height * (band + 1) / bands);
        plant(&s);
        search(&s);
        time = s.time > time ? s.time : time;
    }
    /* What is left are ways across the limits of bands, and what these bring with them. */
    struct search whole = search_of_rows(grid, 0, grid->height);
    whole.time = time;
    for (size_t band = 1; band < bands; band++) {
        size_t below = (grid->height * band / bands + 1) * stride;
        for (size_t p = below - stride; p < below + stride; p++)
            if (grid->node[p].tree != VJ_FLOW_FREE)
                queue_active(&whole, (uint32_t)p);
    }
    search(&whole);
}
