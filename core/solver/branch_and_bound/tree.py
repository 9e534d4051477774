"""The open nodes: what each has decided, its basis, and the cuts it needs, kept once for all who share them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.solver.branch_and_bound.compiling import kernel
from core.solver.branch_and_bound.cuts import THRESHOLD
from core.solver.branch_and_bound.decisions import Decisions
from core.solver.branch_and_bound.scenarios import Scenarios
from core.solver.branch_and_bound.tableau import (
    CHANCE,
    CVAR,
    ROWS,
    SCENARIO,
    Lp,
    activity_range,
    drop_slack_rows,
    rebuild,
)


@dataclass(slots=True)
class Basis:
    """The rows of a dictionary beyond the base, by kind and tag, and what was nonbasic where."""

    kind: IntArray
    tag: IntArray
    nonbasic: IntArray
    at_upper: BoolArray


@dataclass(slots=True)
class Node:
    """cost: a certified lower bound. decisions and basis are the parent's, shared with the sibling; `scenario` is what
    the branch decided (-1 at the root), `keeps`: it must not lose, else it is given up."""

    cost: float
    decisions: Decisions
    basis: Basis
    scenario: int
    keeps: bool
    parent_cost: float
    taken: float = np.inf

    def own_decisions(self) -> Decisions:
        own = self.decisions.copy()
        if self.scenario >= 0:
            (own.must if self.keeps else own.lost)[self.scenario] = True
        return own


class OpenNodes:
    """By least cost, the first in first out among equals."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Node]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, node: Node) -> None:
        heapq.heappush(self._heap, (node.cost, self._count, node))
        self._count += 1

    def pop(self) -> Node:
        return heapq.heappop(self._heap)[2]

    @property
    def least_cost(self) -> float:
        return self._heap[0][0] if self._heap else np.inf

    def nodes(self) -> list[Node]:
        return [node for _, _, node in self._heap]


@kernel
def keep_tight_cuts(lp: Lp, free: IntArray, rows: FloatArray, low: FloatArray) -> int:
    """Drop the rows that are not tight; copy cuts without a tag to the places in `free`, in its order; how many."""
    drop_slack_rows(lp)
    n, used = len(lp.cost), 0
    for i in range(lp.counts[ROWS]):
        if lp.tag[i] < 0 and (lp.kind[i] == CVAR or lp.kind[i] == CHANCE):
            place = free[used]
            rows[place] = lp.rows[i]
            low[place] = lp.lower[n + i]
            lp.tag[i] = place
            used += 1
    return used


@kernel
def load_rows(
    lp: Lp,
    n_base: int,
    scenarios: Scenarios,
    kind: IntArray,
    tag: IntArray,
    rows: FloatArray,
    low: FloatArray,
    nonbasic: IntArray,
    at_upper: BoolArray,
) -> None:
    """The base and these rows, in this order, with that basis."""
    n = len(lp.cost)
    for i in range(len(kind)):
        m = n_base + i
        if kind[i] == SCENARIO:
            s = tag[i]
            lp.rows[m] = scenarios.payoffs[s] / scenarios.scale[s]
            floor = (THRESHOLD - scenarios.offset[s]) / scenarios.scale[s]
        else:
            lp.rows[m] = rows[tag[i]]
            floor = low[tag[i]]
        _, most = activity_range(lp, lp.rows[m])
        lp.lower[n + m] = floor
        lp.upper[n + m] = max(most + 1.0, floor + 1.0)
        lp.kind[m] = kind[i]
        lp.tag[m] = tag[i]
    lp.counts[ROWS] = n_base + len(kind)
    lp.nonbasic[:] = nonbasic
    lp.at_upper[:] = at_upper
    rebuild(lp)


class CutPool:
    """Rows of cuts by number. What no open node needs is found by looking, when room runs out."""

    def __init__(self, n: int, capacity: int = 1024) -> None:
        self.rows = np.zeros((capacity, n))
        self.low = np.zeros(capacity)
        self._free = np.arange(capacity, dtype=np.int64)

    def save(self, lp: Lp, n_base: int, open_nodes: OpenNodes) -> Basis:
        """The dictionary's basis, without rows that are not tight; its new cuts stored."""
        if len(self._free) < lp.counts[ROWS]:
            self._make_room(lp, int(lp.counts[ROWS]), open_nodes)
        used = keep_tight_cuts(lp, self._free, self.rows, self.low)
        self._free = self._free[used:]
        m = int(lp.counts[ROWS])
        return Basis(lp.kind[n_base:m].copy(), lp.tag[n_base:m].copy(), lp.nonbasic.copy(), lp.at_upper.copy())

    def _make_room(self, lp: Lp, wanted: int, open_nodes: OpenNodes) -> None:
        needed = np.zeros(len(self.low), dtype=bool)
        m = int(lp.counts[ROWS])
        bases = [(node.basis.kind, node.basis.tag) for node in open_nodes.nodes()]
        for kind, tag in [*bases, (lp.kind[:m], lp.tag[:m])]:
            is_cut = ((kind == CVAR) | (kind == CHANCE)) & (tag >= 0)
            needed[tag[is_cut]] = True
        self._free = np.flatnonzero(~needed)
        if len(self._free) < max(wanted, len(self.low) // 2):
            capacity = len(self.low)
            self.rows = np.vstack([self.rows, np.zeros_like(self.rows)])
            self.low = np.append(self.low, np.zeros(capacity))
            self._free = np.append(self._free, np.arange(capacity, 2 * capacity))
