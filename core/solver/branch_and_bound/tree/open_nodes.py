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
from core.solver.branch_and_bound.bounds.decisions import Decisions, decide
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import THRESHOLD
from core.solver.branch_and_bound.lp.tableau import (
    CHANCE,
    CVAR,
    ROWS,
    SCENARIO,
    Lp,
    activity_range,
    rebuild,
)
from core.solver.branch_and_bound.lp.vectors import assign, assign_quotient

NODE = np.dtype(
    [
        ("cost", "f8"),
        ("parent_cost", "f8"),
        ("taken", "f8"),
        ("order", "i8"),
        ("fork", "i8"),
        ("scenario", "i8"),
        ("keeps", "?"),
    ],
    align=True,
)
"""cost: a certified lower bound. scenario: what the branch decided (-1 at the root); keeps: it must not lose, else it
is given up; taken: what of it the branch took. fork: its number, shared with the sibling. order: nodes made before."""

HAND = 0
"""The place of the node that was taken up."""

OPEN, MADE, FREE_FORKS, FREE_CUTS, VISITED = 0, 1, 2, 3, 4
"""Places in a tree's counts."""


class Forks(NamedTuple):
    """What a node leaves to its children, F places.

    must, lost, floor: (F, S) its decisions. kind, tag: (F, R) its rows beyond the base; n_rows: (F,) how many.
    nonbasic, at_upper: (F, n) its basis. children: (F,) how many are open. free: (F,) free places, the last one next.
    """

    must: BoolArray
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
    """nodes: (N,) of NODE, that in hand first. heap: (N - 1,) places of the open ones as a binary heap, then free ones.
    counts: (5,) by OPEN, MADE, FREE_FORKS, FREE_CUTS, VISITED."""

    nodes: npt.NDArray[np.void]
    heap: IntArray
    forks: Forks
    cuts: Cuts
    counts: IntArray


def make_tree(n: int, n_scenarios: int, capacity: int = 64) -> Tree:
    """Nothing is open. n columns; places for `capacity` forks, and of the rest as many as these need at first."""
    forks = Forks(
        must=np.zeros((capacity, n_scenarios), dtype=bool),
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
    return Tree(np.zeros(n_nodes, dtype=NODE), np.arange(1, n_nodes, dtype=np.int64), forks, cuts, counts)


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
    return int(tree.forks.n_rows[tree.nodes[tree.heap[0]].fork])


@kernel
def push(tree: Tree, fork: int, s: int, keeps: bool, cost: float, parent_cost: float, taken: float) -> None:
    nodes, heap, at = tree.nodes, tree.heap, tree.counts[OPEN]
    place = heap[at]
    fill(nodes[place], fork, s, keeps, cost, parent_cost, taken)
    nodes[place].order = tree.counts[MADE]
    tree.forks.children[fork] += 1
    tree.counts[OPEN] += 1
    tree.counts[MADE] += 1
    while at > 0 and comes_first(nodes, place, heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = place


@inlined
def fill(node: Any, fork: int, s: int, keeps: bool, cost: float, parent_cost: float, taken: float) -> None:
    node.fork = fork
    node.scenario = s
    node.keeps = keeps
    node.cost = cost
    node.parent_cost = parent_cost
    node.taken = taken


@inlined
def pop(tree: Tree) -> None:
    """The first of the open nodes into the hand."""
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
    nodes[HAND] = nodes[first]


@inlined
def has_room(lp: Lp, n_base: int, tree: Tree) -> bool:
    """For a fork of what is in lp now, and its children."""
    m = lp.counts[ROWS]
    return bool(
        tree.counts[OPEN] + 2 <= len(tree.heap)
        and tree.counts[FREE_FORKS] > 0
        and tree.counts[FREE_CUTS] >= m
        and tree.forks.kind.shape[1] >= m - n_base
    )


@inlined
def save_fork(lp: Lp, n_base: int, decisions: Decisions, tree: Tree) -> int:
    """Its number. Saved are the decisions, the rows beyond the base and the basis; cuts in lp get numbers.

    lp: without slack rows.
    """
    forks, cuts, n, m = tree.forks, tree.cuts, len(lp.cost), lp.counts[ROWS]
    for i in range(n_base, m):
        if lp.tag[i] < 0:
            tree.counts[FREE_CUTS] -= 1
            place = cuts.free[tree.counts[FREE_CUTS]]
            assign(cuts.rows[place], lp.rows[i])
            cuts.low[place] = lp.lower[n + i]
            lp.tag[i] = place
    tree.counts[FREE_FORKS] -= 1
    fork = forks.free[tree.counts[FREE_FORKS]]
    assign(forks.must[fork], decisions.must)
    assign(forks.lost[fork], decisions.lost)
    assign(forks.floor[fork], decisions.floor)
    forks.n_rows[fork] = m - n_base
    for i in range(n_base, m):
        forks.kind[fork, i - n_base] = lp.kind[i]
        forks.tag[fork, i - n_base] = lp.tag[i]
    assign(forks.nonbasic[fork], lp.nonbasic)
    assign(forks.at_upper[fork], lp.at_upper)
    forks.children[fork] = 0
    return int(fork)


@inlined
def load_rows(lp: Lp, n_base: int, scenarios: Scenarios, tree: Tree, fork: int) -> None:
    """The base and the fork's rows, in this order, with its basis."""
    n, forks, cuts = len(lp.cost), tree.forks, tree.cuts
    for i in range(forks.n_rows[fork]):
        m, kind, tag = n_base + i, forks.kind[fork, i], forks.tag[fork, i]
        if kind == SCENARIO:
            assign_quotient(lp.rows[m], scenarios.payoffs[tag], scenarios.scale[tag])
            low = (THRESHOLD - scenarios.offset[tag]) / scenarios.scale[tag]
        else:
            assign(lp.rows[m], cuts.rows[tag])
            low = cuts.low[tag]
        _, most = activity_range(lp, lp.rows[m])
        lp.lower[n + m] = low
        lp.upper[n + m] = max(most + 1.0, low + 1.0)
        lp.kind[m] = kind
        lp.tag[m] = tag
    lp.counts[ROWS] = n_base + forks.n_rows[fork]
    assign(lp.nonbasic, forks.nonbasic[fork])
    assign(lp.at_upper, forks.at_upper[fork])
    rebuild(lp)


@inlined
def take_up(lp: Lp, n_base: int, scenarios: Scenarios, decisions: Decisions, tree: Tree) -> None:
    """The first of the open nodes into the hand, its decisions into `decisions` and its program into lp."""
    pop(tree)
    node, forks = tree.nodes[HAND], tree.forks
    fork = node.fork
    assign(decisions.must, forks.must[fork])
    assign(decisions.lost, forks.lost[fork])
    assign(decisions.floor, forks.floor[fork])
    decide(decisions, node.scenario, node.keeps)
    load_rows(lp, n_base, scenarios, tree, fork)
    forks.children[fork] -= 1
    if forks.children[fork] == 0:
        forks.free[tree.counts[FREE_FORKS]] = fork
        tree.counts[FREE_FORKS] += 1


def with_room(tree: Tree, lp: Lp, n_base: int) -> Tree:
    """The same tree with room for a fork of what is in lp: places doubled where there are too few."""
    n_rows = int(lp.counts[ROWS])
    if tree.counts[FREE_CUTS] < n_rows:
        tree = _with_free_cuts(tree, lp)
    if tree.counts[FREE_FORKS] == 0:
        tree = _with_free_forks(tree)
    if tree.counts[OPEN] + 2 > len(tree.heap):
        more = np.arange(len(tree.nodes), 2 * len(tree.nodes))
        tree = tree._replace(nodes=_doubled(tree.nodes), heap=np.append(tree.heap, more))
    forks = tree.forks
    wanted = n_rows - n_base - forks.kind.shape[1]
    if wanted > 0:
        wider = ((0, 0), (0, wanted))
        tree = tree._replace(forks=forks._replace(kind=np.pad(forks.kind, wider), tag=np.pad(forks.tag, wider)))
    return tree


def _with_free_cuts(tree: Tree, lp: Lp) -> Tree:
    """Free are those that neither an open node needs nor lp; more are made where these are few."""
    forks, cuts, m = tree.forks, tree.cuts, int(lp.counts[ROWS])
    held = (np.arange(forks.kind.shape[1]) < forks.n_rows[:, None]) & (forks.children > 0)[:, None]
    needed = np.zeros(len(cuts.low), dtype=bool)
    for kind, tag in ((forks.kind[held], forks.tag[held]), (lp.kind[:m], lp.tag[:m])):
        needed[tag[((kind == CVAR) | (kind == CHANCE)) & (tag >= 0)]] = True
    free = np.flatnonzero(~needed)
    while len(free) < max(m, len(cuts.low) // 2):
        free = np.append(free, np.arange(len(cuts.low), 2 * len(cuts.low)))
        cuts = cuts._replace(rows=_doubled(cuts.rows), low=_doubled(cuts.low))
    counts = tree.counts.copy()
    counts[FREE_CUTS] = len(free)
    return tree._replace(cuts=cuts._replace(free=free), counts=counts)


def _with_free_forks(tree: Tree) -> Tree:
    before = len(tree.forks.free)
    forks = Forks(*(_doubled(array) for array in tree.forks))
    forks.free[:before] = np.arange(before, 2 * before)
    counts = tree.counts.copy()
    counts[FREE_FORKS] = before
    return tree._replace(forks=forks, counts=counts)


def _doubled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Twice as many places, the new ones zero."""
    return np.concatenate([array, np.zeros_like(array)])
