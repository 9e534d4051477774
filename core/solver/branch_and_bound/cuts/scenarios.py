"""The program's scenarios as the kernels read them: multiples, losses and the worst tail."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.lp.vectors import add_rows, assign
from core.solver.program import ChanceProgram, Polytope

NEAR_EDGE = 0.8
"""Losses of more than this share of the last tail's edge are likely to hold the next tail."""


class Scenarios(NamedTuple):
    """S scenarios over n columns, one more than the program's when there is a phase-1 slack.

    payoffs: (S, n) and payoffs_t: (n, S), the same twice; offset: (S,); scale: (S,) what rows are divided by.
    tail_size: (1 - c) S; cvar_limit: infinite for none; cvar_slack: (n,).
    phase1_slack: the column of the slack that chance cuts have in phase 1, -1 for none.
    """

    payoffs: FloatArray
    payoffs_t: FloatArray
    offset: FloatArray
    scale: FloatArray
    tail_size: float
    cvar_limit: float
    cvar_slack: FloatArray
    phase1_slack: int


def scenarios_of(program: ChanceProgram, *, with_phase1_slack: bool) -> Scenarios:
    payoffs, slack = program.payoffs, program.cvar_slack
    if with_phase1_slack:
        payoffs = np.hstack([payoffs, np.zeros((len(payoffs), 1))])
        slack = np.append(slack, 0.0)
    return Scenarios(
        payoffs=np.ascontiguousarray(payoffs, dtype=np.float64),
        payoffs_t=np.ascontiguousarray(payoffs.T, dtype=np.float64),
        offset=np.ascontiguousarray(program.payoff_offset, dtype=np.float64),
        scale=np.maximum(1.0, np.abs(payoffs).max(axis=1)),
        tail_size=(1.0 - program.cvar_confidence) * len(payoffs),
        cvar_limit=float(program.cvar_limit),
        cvar_slack=np.ascontiguousarray(slack, dtype=np.float64),
        phase1_slack=payoffs.shape[1] - 1 if with_phase1_slack else -1,
    )


def with_phase1_slack(polytope: Polytope, most: float) -> Polytope:
    """The polytope with one more column, in [0, most] and in none of the rows."""
    return replace(
        polytope,
        rows=np.hstack([polytope.rows, np.zeros((len(polytope.rows), 1))]),
        lower=np.append(polytope.lower, 0.0),
        upper=np.append(polytope.upper, most),
    )


@inlined
def read_multiples(scenarios: Scenarios, x: FloatArray, multiples: FloatArray) -> None:
    """offset + payoffs @ x into multiples (S,)."""
    assign(multiples, scenarios.offset)
    places, values, count = np.empty(len(x), dtype=np.int64), np.empty(len(x)), 0
    for j in range(len(x)):
        if x[j] != 0.0:
            places[count] = j
            values[count] = x[j]
            count += 1
    add_rows(multiples, scenarios.payoffs_t, places[:count], values[:count])


@inlined
def nth_largest(values: FloatArray, n: int) -> float:
    """The n-th largest of values, n from 1; their order is changed.

    Partitions move values without branching on them, which a processor cannot foresee. Ties are set aside at once.
    """
    begin, end = 0, len(values)
    while True:
        first, middle, last = values[begin], values[(begin + end) // 2], values[end - 1]
        pivot = max(min(first, middle), min(max(first, middle), last))
        split = begin
        for i in range(begin, end):
            value = values[i]
            values[i] = values[split]
            values[split] = value
            split += value > pivot
        if n <= split - begin:
            end = split
            continue
        n -= split - begin
        begin = split
        for i in range(begin, end):
            value = values[i]
            values[i] = values[split]
            values[split] = value
            split += value == pivot
        if n <= split - begin:
            return float(pivot)
        n -= split - begin
        begin = split


class Tail(NamedTuple):
    """Room to look for a worst tail. places, losses, order: (S,); edge: (1,) the loss on the edge of the last one."""

    places: IntArray
    losses: FloatArray
    order: FloatArray
    edge: FloatArray


@inlined
def make_tail(n_scenarios: int) -> Tail:
    return Tail(np.empty(n_scenarios, dtype=np.int64), np.empty(n_scenarios), np.empty(n_scenarios), np.zeros(1))


@inlined
def gather_losses(multiples: FloatArray, above: float, tail: Tail) -> int:
    """The scenarios with losses above this, and the losses, into tail; how many."""
    count = 0
    for s in range(len(multiples)):
        loss = 1.0 - multiples[s]
        tail.places[count] = s
        tail.losses[count] = loss
        count += loss > above
    return count


@kernel
def worst_tail(scenarios: Scenarios, multiples: FloatArray, tail: Tail) -> tuple[int, float, float, float]:
    """How many scenarios in `tail` hold all of it, its CVaR, the loss on its edge, and how much of each scenario with
    that loss is in it.

    Losses near the last edge and above are looked through first. Source: Rockafellar & Uryasev (2002), prop. 8.
    """
    size = scenarios.tail_size
    whole = int(np.ceil(size))
    count = gather_losses(multiples, NEAR_EDGE * tail.edge[0], tail)
    if count < whole and tail.edge[0] > 0.0:
        count = gather_losses(multiples, 0.0, tail)
    losses = tail.losses[:count]
    edge = 0.0
    if count >= whole:
        assign(tail.order[:count], losses)
        edge = nth_largest(tail.order[:count], whole)
    tail.edge[0] = edge
    above, on_edge, total = 0, 0, 0.0
    for k in range(count):
        if losses[k] > edge:
            above += 1
            total += losses[k]
        on_edge += losses[k] == edge
    if on_edge == 0:
        return count, total / size, edge, 0.0
    return count, (total + (size - above) * edge) / size, edge, (size - above) / on_edge
