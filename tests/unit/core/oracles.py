"""Independent solutions of the chance-constrained program: the textbook MIP, and enumeration of the losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import highspy
import numpy as np

from core.solver.program import ChanceProgram, Polytope


@dataclass(frozen=True)
class OracleAnswer:
    feasible: bool
    objective: float = -np.inf
    bound: float = -np.inf


def random_program(
    rng: np.random.Generator, n_buckets: int, n_scenarios: int, cap: float | None = None
) -> ChanceProgram:
    """A portfolio program with heavy-tailed multiples, a third of them total losses, and limits that often bind."""
    exits = rng.random((n_scenarios, n_buckets)) < rng.uniform(0.3, 0.8)
    payoffs = np.where(exits, rng.pareto(1.5, (n_scenarios, n_buckets)) + rng.uniform(0.2, 1.2), 0.0)
    objective = payoffs.mean(axis=0)
    groups = rng.integers(0, 3, n_buckets)
    rows = np.vstack([np.ones(n_buckets), *[(groups == g) * 1.0 for g in range(3)]])
    room = rng.choice([1.0, 0.7])
    return ChanceProgram(
        objective=objective,
        polytope=Polytope(
            rows=rows,
            row_lower=np.array([1.0, -np.inf, -np.inf, -np.inf]),
            row_upper=np.array([1.0, room, room, room]),
            lower=np.zeros(n_buckets),
            upper=np.full(n_buckets, 1.0 if cap is None else cap),
        ),
        payoffs=payoffs,
        payoff_offset=np.zeros(n_scenarios),
        max_losses=int(rng.integers(0, n_scenarios + 1)),
        cvar_confidence=float(rng.choice([0.0, 0.5, 0.75, 0.9, 0.95])),
        cvar_limit=float(rng.choice([0.2, 0.4, 0.6, 0.8, 1.0])),
        cvar_slack=np.zeros(n_buckets),
    )


AWKWARD_KINDS = ("scarce losses", "heavy tails", "exact ones", "only losses", "degenerate limits")


def awkward_program(rng: np.random.Generator, kind: str) -> ChanceProgram:
    """What solvers stumble over: heavy tails, exact ones, nothing but losses, degenerate limits, scarce losses."""
    n_buckets, n_scenarios = int(rng.integers(1, 9)), int(rng.integers(1, 31))
    shape = (n_scenarios, n_buckets)
    if kind == "scarce losses":
        return replace(random_program(rng, 6, 25, cap=0.5), max_losses=int(rng.integers(2, 10)))
    program = random_program(rng, n_buckets, n_scenarios)
    if kind == "heavy tails":
        payoffs = np.where(rng.random(shape) < 0.5, np.minimum(rng.pareto(0.5, shape) + 0.3, 1e8), 0.0)
    elif kind == "exact ones":
        payoffs = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0], shape)
    elif kind == "only losses":
        payoffs = rng.random(shape)
    elif kind == "degenerate limits":
        payoffs = program.payoffs if rng.random() < 0.5 else np.repeat(program.payoffs[:, :1], n_buckets, 1)
        cap = float(rng.choice([1.0, 1.0 / n_buckets]))
        program = replace(
            program,
            max_losses=int(rng.choice([0, n_scenarios, n_scenarios + 3])),
            cvar_confidence=float(rng.choice([0.0, 0.5, 0.999, 1 - 1e-6])),
            cvar_limit=float(rng.choice([0.0, 0.3, 1.0, 1.5, np.inf])),
            polytope=Polytope(
                np.ones((1, n_buckets)), np.ones(1), np.ones(1), np.zeros(n_buckets), np.full(n_buckets, cap)
            ),
        )
    else:
        return program
    return replace(program, payoffs=payoffs, objective=payoffs.mean(axis=0))


def textbook_mip(program: ChanceProgram, margin: float) -> OracleAnswer:
    """w, M, y, z, u, tau as in the original formulation, row by row through HiGHS's modelling layer.

    margin: added to the threshold of a loss; 0 gives the loosest reading, 1e-6 a strict one.
    """
    s, n = program.payoffs.shape
    h = exact_highs()
    polytope = program.polytope
    x = [h.addVariable(lb=float(polytope.lower[j]), ub=float(polytope.upper[j])) for j in range(n)]
    for row, low, high in zip(polytope.rows, polytope.row_lower, polytope.row_upper, strict=True):
        h.addRow(float(low), float(high), n, np.arange(n, dtype=np.int32), np.ascontiguousarray(row))
    z = [h.addBinary() for _ in range(s)]
    u = [h.addVariable(lb=0.0) for _ in range(s)]
    tau = h.addVariable(lb=0.0)
    for k in range(s):
        multiple = h.qsum(float(a) * v for a, v in zip(program.payoffs[k], x, strict=True)) + float(
            program.payoff_offset[k]
        )
        h.addConstr(multiple + (1.0 + margin) * z[k] >= 1.0 + margin)
        h.addConstr(u[k] + tau + multiple >= 1.0)
    h.addConstr(h.qsum(z) <= program.max_losses)
    if np.isfinite(program.cvar_limit):
        size = (1.0 - program.cvar_confidence) * s
        granted = h.qsum(float(g) * v for g, v in zip(program.cvar_slack, x, strict=True))
        h.addConstr(tau + h.qsum(u) * (1.0 / size) - granted <= program.cvar_limit)
    h.maximize(h.qsum(float(c) * v for c, v in zip(program.objective, x, strict=True)))
    if not is_solved(h):
        return OracleAnswer(False)
    info = h.getInfo()
    return OracleAnswer(True, info.objective_function_value, info.mip_dual_bound)


def enumerated_losses(program: ChanceProgram, margin: float) -> OracleAnswer:
    """Try every set of scenarios that may lose; the rest is a linear program. For a handful of scenarios only."""
    s = program.payoffs.shape[0]
    best = OracleAnswer(False)
    for losing in combinations(range(s), min(program.max_losses, s)):
        answer = textbook_mip(_with_fixed_losses(program, losing, margin), margin)
        if answer.feasible and answer.objective > best.objective:
            best = answer
    return best


def _with_fixed_losses(program: ChanceProgram, losing: tuple[int, ...], margin: float) -> ChanceProgram:
    kept = [k for k in range(program.payoffs.shape[0]) if k not in losing]
    polytope = program.polytope
    return ChanceProgram(
        objective=program.objective,
        polytope=Polytope(
            rows=np.vstack([polytope.rows, program.payoffs[kept]]),
            row_lower=np.concatenate([polytope.row_lower, 1.0 + margin - program.payoff_offset[kept]]),
            row_upper=np.concatenate([polytope.row_upper, np.full(len(kept), np.inf)]),
            lower=polytope.lower,
            upper=polytope.upper,
        ),
        payoffs=program.payoffs,
        payoff_offset=program.payoff_offset,
        max_losses=program.payoffs.shape[0],
        cvar_confidence=program.cvar_confidence,
        cvar_limit=program.cvar_limit,
        cvar_slack=program.cvar_slack,
    )


def exact_highs() -> Any:
    h = highspy.Highs()
    h.silent()
    for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        h.setOptionValue(name, 1e-9)
    h.setOptionValue("mip_rel_gap", 0.0)
    h.setOptionValue("threads", 1)
    return h


def is_solved(h: Any) -> bool:
    """False for a model that is proven infeasible; anything but that or an optimum is the oracle's failure."""
    status = h.getModelStatus()
    if status == highspy.HighsModelStatus.kOptimal:
        return True
    assert status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible), status
    return False
