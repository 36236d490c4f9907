/* SPDX-License-Identifier: MIT */
/*
 * Minimum cuts of grids: every pixel is a node with arcs to its four neighbours and one to the
 * source or to the sink. What is asked for is which pixels can still reach the sink when the flow
 * from source to sink is at its maximum. That set is the same for every maximum flow: the pixels
 * outside it are the largest of all minimum cuts, and the answer depends neither on the order of
 * the work nor on the number of threads.
 *
 * Method: Boykov and Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms for
 * energy minimization in vision", IEEE Trans. Pattern Anal. Mach. Intell. 26(9), 2004. Bands of
 * rows are solved at once, each by itself, and then joined.
 */
#ifndef VJ_HOST_MAXFLOW_H
#define VJ_HOST_MAXFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Directions of arcs; the opposite of d is d ^ 1. */
enum { VJ_FLOW_RIGHT, VJ_FLOW_LEFT, VJ_FLOW_DOWN, VJ_FLOW_UP, VJ_FLOW_ARCS };

enum { VJ_FLOW_FREE, VJ_FLOW_SOURCE, VJ_FLOW_SINK }; /* trees */

struct vj_flow_node {
    /*
     * Capacities, set by the caller, afterwards what is left of them. An arc and its opposite
     * together carry at most 255.
     */
    uint8_t arc[VJ_FLOW_ARCS];
    int16_t terminal; /* from the source when positive, to the sink when negative */

    /* Of the search. */
    uint8_t tree;
    uint8_t parent;       /* direction of the next node on the way to the tree's root, or a mark */
    uint32_t time;        /* when `distance` was last known to be right */
    uint32_t distance;    /* to the root, in nodes */
    uint32_t next_active; /* queue of nodes whose neighbours are still to be looked at */
    uint32_t next_orphan; /* queue of nodes that have lost their parent */
};

struct vj_flow_grid {
    size_t width, height;
    struct vj_flow_node *node; /* vj_flow_node_count(), owned by the caller */
};

/*
 * Nodes of a grid, a frame around the pixels included; 0 when they are more than 2^32 - 1, which is
 * the limit of this implementation.
 */
size_t vj_flow_node_count(size_t width, size_t height);

static inline struct vj_flow_node *vj_flow_node(const struct vj_flow_grid *grid, size_t y, size_t x)
{
    return grid->node + (y + 1) * (grid->width + 2) + x + 1;
}

/*
 * Finds a maximum flow. The caller has set arc[] and terminal of every pixel; arcs that lead out of
 * the picture must be 0. The frame is this function's.
 * threads: >= 1, as many as bands
 */
void vj_flow_maximise(const struct vj_flow_grid *grid, int threads);

/* After vj_flow_maximise(): whether a way with capacity left leads from the node to the sink. */
static inline bool vj_flow_reaches_sink(const struct vj_flow_node *node)
{
    return node->tree == VJ_FLOW_SINK;
}

#endif
