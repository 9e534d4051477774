"""The program's scenarios as the kernels read them: multiples, losses and the worst tail."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray
from core.solver.branch_and_bound.compiling import kernel
from core.solver.program import ChanceProgram, Polytope


class Scenarios(NamedTuple):
    """S scenarios over n columns, one more than the program's when there is an overrun column.

    payoffs: (S, n) and payoffs_t: (n, S), the same twice; offset: (S,); scale: (S,) what rows are divided by.
    tail_size: (1 - c) S; cvar_limit: infinite for none; cvar_slack: (n,).
    overrun: the column by which chance cuts may be overstepped, -1 for none.
    """

    payoffs: FloatArray
    payoffs_t: FloatArray
    offset: FloatArray
    scale: FloatArray
    tail_size: float
    cvar_limit: float
    cvar_slack: FloatArray
    overrun: int


def scenarios_of(program: ChanceProgram, *, with_overrun: bool) -> Scenarios:
    payoffs, slack = program.payoffs, program.cvar_slack
    if with_overrun:
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
        overrun=payoffs.shape[1] - 1 if with_overrun else -1,
    )


def with_overrun(polytope: Polytope, most: float) -> Polytope:
    """The polytope with one more column, in [0, most] and in none of the rows."""
    return replace(
        polytope,
        rows=np.hstack([polytope.rows, np.zeros((len(polytope.rows), 1))]),
        lower=np.append(polytope.lower, 0.0),
        upper=np.append(polytope.upper, most),
    )


@kernel
def read_multiples(scenarios: Scenarios, x: FloatArray, multiples: FloatArray) -> None:
    """offset + payoffs @ x into multiples (S,), column by column: an order that vector units keep."""
    multiples[:] = scenarios.offset
    for j in range(len(x)):
        if x[j] != 0.0:
            weight = x[j]
            column = scenarios.payoffs_t[j]
            for s in range(len(multiples)):
                multiples[s] += weight * column[s]


@kernel
def tail_weights(scenarios: Scenarios, multiples: FloatArray, weights: FloatArray) -> float:
    """The CVaR of the losses, and in weights (S,) each scenario's share in the tail, divided by the tail's size.

    Scenarios with the loss on the tail's edge share what is left of it. Source: Rockafellar & Uryasev (2002), prop. 8.
    """
    size = scenarios.tail_size
    count = 0
    losses = np.empty(len(multiples))
    for s in range(len(multiples)):
        weights[s] = 0.0
        if multiples[s] < 1.0:
            losses[count] = 1.0 - multiples[s]
            count += 1
    edge, whole = 0.0, int(np.ceil(size))
    if count >= whole:
        edge = np.partition(losses[:count], count - whole)[count - whole]
    above, on_edge = 0, 0
    for k in range(count):
        if losses[k] > edge:
            above += 1
        elif losses[k] == edge:
            on_edge += 1
    share = (size - above) / on_edge if on_edge > 0 else 0.0
    value = 0.0
    for s in range(len(multiples)):
        loss = 1.0 - multiples[s]
        if loss > 0.0:
            weight = 1.0 if loss > edge else (share if loss == edge else 0.0)
            weights[s] = weight / size
            value += weight / size * loss
    return value
