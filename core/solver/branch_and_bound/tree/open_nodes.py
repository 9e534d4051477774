"""The open nodes, best bound first: what each has decided, its basis and its cuts, kept once for all who share them.

Everything lies in arrays, so that compiled code walks the tree without leaving it. Places are used again; where none is
left, `has_room` says so and `with_room` makes more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.arrays import BoolArray, FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions, fix_scenario
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.lp.tableau import (
    CHANCE_CUT,
    CVAR_CUT,
    ROWS,
    SCENARIO_ROW,
    Lp,
    activity_range,
    rebuild,
)
from core.solver.branch_and_bound.lp.vectors import assign, assign_quotient
from core.solver.program import LOSS_THRESHOLD

NODE = np.dtype(
    [
        ("cost", "f8"),
        ("parent_cost", "f8"),
        ("distance", "f8"),
        ("order", "i8"),
        ("parent", "i8"),
        ("scenario", "i8"),
        ("required", "?"),
    ],
    align=True,
)
"""cost: a certified lower bound. scenario: what the branch decided (-1 at the root); required: it must not lose, else
it is given up; distance: how far the branch moves the relaxation. parent: place of the parent's state, shared with
the sibling. order: nodes made before."""

CURRENT_NODE = 0
"""The place of the node that is loaded."""

OPEN, MADE, FREE_PARENTS, FREE_CUTS, VISITED = 0, 1, 2, 3, 4
"""Places in a tree's counts."""


class Parents(NamedTuple):
    """The state that a branched node leaves to its children, F places.

    required, lost, floor: (F, S) its decisions. kind, tag: (F, R) its rows beyond the base; n_rows: (F,) how many.
    nonbasic, at_upper: (F, n) its basis. children: (F,) how many are open. free: (F,) free places, the last one next.
    """

    required: BoolArray
    lost: BoolArray
    floor: FloatArray
    kind: IntArray
    tag: IntArray
    n_rows: IntArray
    nonbasic: IntArray
    at_upper: BoolArray
    children: IntArray
    free: IntArray


class Cuts(NamedTuple):
    """rows: (C, n) @ x >= low: (C,). free: (C,) free places, the last one next."""

    rows: FloatArray
    low: FloatArray
    free: IntArray


class Tree(NamedTuple):
    """nodes: (N,) of NODE, the current one first. heap: (N - 1,) places of the open ones as a binary heap, then free
    ones. counts: (5,) by OPEN, MADE, FREE_PARENTS, FREE_CUTS, VISITED."""

    nodes: npt.NDArray[np.void]
    heap: IntArray
    parents: Parents
    cuts: Cuts
    counts: IntArray


def make_tree(n: int, n_scenarios: int, capacity: int = 64) -> Tree:
    """Nothing is open. n columns; places for `capacity` parents, and of the rest as many as these need at first."""
    parents = Parents(
        required=np.zeros((capacity, n_scenarios), dtype=bool),
        lost=np.zeros((capacity, n_scenarios), dtype=bool),
        floor=np.zeros((capacity, n_scenarios)),
        kind=np.zeros((capacity, n), dtype=np.int64),
        tag=np.zeros((capacity, n), dtype=np.int64),
        n_rows=np.zeros(capacity, dtype=np.int64),
        nonbasic=np.zeros((capacity, n), dtype=np.int64),
        at_upper=np.zeros((capacity, n), dtype=bool),
        children=np.zeros(capacity, dtype=np.int64),
        free=np.arange(capacity, dtype=np.int64),
    )
    n_nodes = 2 * capacity + 2
    cuts = Cuts(np.zeros((n_nodes, n)), np.zeros(n_nodes), np.arange(n_nodes, dtype=np.int64))
    counts = np.array([0, 0, capacity, n_nodes, 0], dtype=np.int64)
    return Tree(np.zeros(n_nodes, dtype=NODE), np.arange(1, n_nodes, dtype=np.int64), parents, cuts, counts)


@inlined
def comes_first(nodes: Any, a: int, b: int) -> bool:
    """By least cost, the first in first out among equals."""
    if nodes[a].cost != nodes[b].cost:
        return bool(nodes[a].cost < nodes[b].cost)
    return bool(nodes[a].order < nodes[b].order)


@inlined
def least_cost(tree: Tree) -> float:
    """Of the open nodes; infinite when there is none."""
    return float(tree.nodes[tree.heap[0]].cost) if tree.counts[OPEN] else np.inf


@inlined
def next_rows(tree: Tree) -> int:
    """Rows beyond the base of the first open node."""
    return int(tree.parents.n_rows[tree.nodes[tree.heap[0]].parent])


@kernel
def push(tree: Tree, parent: int, s: int, required: bool, cost: float, parent_cost: float, distance: float) -> None:
    nodes, heap, at = tree.nodes, tree.heap, tree.counts[OPEN]
    place = heap[at]
    fill(nodes[place], parent, s, required, cost, parent_cost, distance)
    nodes[place].order = tree.counts[MADE]
    tree.parents.children[parent] += 1
    tree.counts[OPEN] += 1
    tree.counts[MADE] += 1
    while at > 0 and comes_first(nodes, place, heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = place


@inlined
def fill(node: Any, parent: int, s: int, required: bool, cost: float, parent_cost: float, distance: float) -> None:
    node.parent = parent
    node.scenario = s
    node.required = required
    node.cost = cost
    node.parent_cost = parent_cost
    node.distance = distance


@inlined
def pop(tree: Tree) -> None:
    """Make the first of the open nodes the current one."""
    nodes, heap, last = tree.nodes, tree.heap, tree.counts[OPEN] - 1
    first, place, at = heap[0], heap[last], 0
    while 2 * at + 1 < last:
        below = 2 * at + 1
        if below + 1 < last and comes_first(nodes, heap[below + 1], heap[below]):
            below += 1
        if not comes_first(nodes, heap[below], place):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = place
    heap[last] = first
    tree.counts[OPEN] = last
    nodes[CURRENT_NODE] = nodes[first]


@inlined
def has_room(lp: Lp, n_base: int, tree: Tree) -> bool:
    """For the state of the current node as a parent, and its children."""
    m = lp.counts[ROWS]
    return bool(
        tree.counts[OPEN] + 2 <= len(tree.heap)
        and tree.counts[FREE_PARENTS] > 0
        and tree.counts[FREE_CUTS] >= m
        and tree.parents.kind.shape[1] >= m - n_base
    )


@inlined
def save_parent(lp: Lp, n_base: int, decisions: Decisions, tree: Tree) -> int:
    """Its place. Saved are the decisions, the rows beyond the base and the basis; cuts in lp get numbers.

    lp: without slack rows.
    """
    parents, cuts, n, m = tree.parents, tree.cuts, len(lp.cost), lp.counts[ROWS]
    for i in range(n_base, m):
        if lp.tag[i] < 0:
            tree.counts[FREE_CUTS] -= 1
            place = cuts.free[tree.counts[FREE_CUTS]]
            assign(cuts.rows[place], lp.rows[i])
            cuts.low[place] = lp.lower[n + i]
            lp.tag[i] = place
    tree.counts[FREE_PARENTS] -= 1
    parent = parents.free[tree.counts[FREE_PARENTS]]
    assign(parents.required[parent], decisions.required)
    assign(parents.lost[parent], decisions.lost)
    assign(parents.floor[parent], decisions.floor)
    parents.n_rows[parent] = m - n_base
    for i in range(n_base, m):
        parents.kind[parent, i - n_base] = lp.kind[i]
        parents.tag[parent, i - n_base] = lp.tag[i]
    assign(parents.nonbasic[parent], lp.nonbasic)
    assign(parents.at_upper[parent], lp.at_upper)
    parents.children[parent] = 0
    return int(parent)


@inlined
def load_rows(lp: Lp, n_base: int, scenarios: Scenarios, tree: Tree, parent: int) -> None:
    """The base and the parent's rows, in this order, with its basis."""
    n, parents, cuts = len(lp.cost), tree.parents, tree.cuts
    for i in range(parents.n_rows[parent]):
        m, kind, tag = n_base + i, parents.kind[parent, i], parents.tag[parent, i]
        if kind == SCENARIO_ROW:
            assign_quotient(lp.rows[m], scenarios.payoffs[tag], scenarios.scale[tag])
            low = (LOSS_THRESHOLD - scenarios.offset[tag]) / scenarios.scale[tag]
        else:
            assign(lp.rows[m], cuts.rows[tag])
            low = cuts.low[tag]
        _, most = activity_range(lp, lp.rows[m])
        lp.lower[n + m] = low
        lp.upper[n + m] = max(most + 1.0, low + 1.0)
        lp.kind[m] = kind
        lp.tag[m] = tag
    lp.counts[ROWS] = n_base + parents.n_rows[parent]
    assign(lp.nonbasic, parents.nonbasic[parent])
    assign(lp.at_upper, parents.at_upper[parent])
    rebuild(lp)


@inlined
def load_node(lp: Lp, n_base: int, scenarios: Scenarios, decisions: Decisions, tree: Tree) -> None:
    """Make the first of the open nodes the current one: its decisions into `decisions`, its program into lp."""
    pop(tree)
    node, parents = tree.nodes[CURRENT_NODE], tree.parents
    parent = node.parent
    assign(decisions.required, parents.required[parent])
    assign(decisions.lost, parents.lost[parent])
    assign(decisions.floor, parents.floor[parent])
    fix_scenario(decisions, node.scenario, node.required)
    load_rows(lp, n_base, scenarios, tree, parent)
    parents.children[parent] -= 1
    if parents.children[parent] == 0:
        parents.free[tree.counts[FREE_PARENTS]] = parent
        tree.counts[FREE_PARENTS] += 1


def with_room(tree: Tree, lp: Lp, n_base: int) -> Tree:
    """The same tree with room for what is in lp as a parent: places doubled where there are too few."""
    n_rows = int(lp.counts[ROWS])
    if tree.counts[FREE_CUTS] < n_rows:
        tree = _with_free_cuts(tree, lp)
    if tree.counts[FREE_PARENTS] == 0:
        tree = _with_free_parents(tree)
    if tree.counts[OPEN] + 2 > len(tree.heap):
        more = np.arange(len(tree.nodes), 2 * len(tree.nodes))
        tree = tree._replace(nodes=_doubled(tree.nodes), heap=np.append(tree.heap, more))
    parents = tree.parents
    wanted = n_rows - n_base - parents.kind.shape[1]
    if wanted > 0:
        wider = ((0, 0), (0, wanted))
        tree = tree._replace(parents=parents._replace(kind=np.pad(parents.kind, wider), tag=np.pad(parents.tag, wider)))
    return tree


def _with_free_cuts(tree: Tree, lp: Lp) -> Tree:
    """Free are those that neither an open node needs nor lp; more are made where these are few."""
    parents, cuts, m = tree.parents, tree.cuts, int(lp.counts[ROWS])
    held = (np.arange(parents.kind.shape[1]) < parents.n_rows[:, None]) & (parents.children > 0)[:, None]
    needed = np.zeros(len(cuts.low), dtype=bool)
    for kind, tag in ((parents.kind[held], parents.tag[held]), (lp.kind[:m], lp.tag[:m])):
        needed[tag[((kind == CVAR_CUT) | (kind == CHANCE_CUT)) & (tag >= 0)]] = True
    free = np.flatnonzero(~needed)
    while len(free) < max(m, len(cuts.low) // 2):
        free = np.append(free, np.arange(len(cuts.low), 2 * len(cuts.low)))
        cuts = cuts._replace(rows=_doubled(cuts.rows), low=_doubled(cuts.low))
    counts = tree.counts.copy()
    counts[FREE_CUTS] = len(free)
    return tree._replace(cuts=cuts._replace(free=free), counts=counts)


def _with_free_parents(tree: Tree) -> Tree:
    before = len(tree.parents.free)
    parents = Parents(*(_doubled(array) for array in tree.parents))
    parents.free[:before] = np.arange(before, 2 * before)
    counts = tree.counts.copy()
    counts[FREE_PARENTS] = before
    return tree._replace(parents=parents, counts=counts)


def _doubled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Twice as many places, the new ones zero."""
    return np.concatenate([array, np.zeros_like(array)])
