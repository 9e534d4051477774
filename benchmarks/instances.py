"""Chance-constrained portfolio programs to measure solvers on: two synthetic families, and the product's own model.

`single`: a bucket is one company. `averaged`: a bucket is fifteen, after dilution and fees: tails are light and
limits bite. `model`: the shipped calibration, simulated. Sectors hold at most 35%, stages 10-30%, 40-60%, up to 40%
and up to 40%, a bucket 15%; 60% of the winners of the portfolio without risk limits are asked for; the CVaR limit lies
halfway between the least attainable and that portfolio's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.benchmark_case import best_without_risk_limits, least_cvar, make_case
from core.arrays import FloatArray
from core.portfolio.loss_search import Attempt, least_losses
from core.solver.backends import make_backend
from core.solver.feasibility import loss_count, loss_tail, multiples
from core.solver.program import ChanceProgram, Polytope, SolveControl

Family = Literal["single", "averaged", "model"]

N_STAGES = 4
MEDIAN, P90 = np.array([3.0, 2.5, 2.0, 1.6]), np.array([12.0, 10.0, 7.0, 4.0])
FAILURE, ALL_IN_MUSD = np.array([0.6, 0.45, 0.35, 0.25]), np.array([3.0, 8.0, 15.0, 25.0])
RETAINED = np.array([0.28, 0.36, 0.5, 0.6])
STAGE_BOUNDS = np.array([(0.1, 0.3), (0.4, 0.6), (0.0, 0.4), (0.0, 0.4)])
SECTOR_MAX, BUCKET_MAX, WINNER_SHARE, CONFIDENCE = 0.35, 0.15, 0.6, 0.95
LEAST = 0.0
"""The cap that allows the fewest losses with which a portfolio is found at all."""
LEAST_WORK = 200_000


@dataclass(frozen=True, slots=True)
class Instance:
    """cap: the share of the losses of the portfolio without risk limits that is allowed, or LEAST."""

    family: Family
    n_buckets: int
    n_scenarios: int
    seed: int
    cap: float
    program: ChanceProgram

    @property
    def name(self) -> str:
        cap = f"{self.program.max_losses} losses (fewest known)" if self.cap == LEAST else f"{self.cap:.0%}"
        return f"{self.family} {self.n_buckets}x{self.n_scenarios} no {self.seed}, {cap}"


def make_instance(family: Family, n_buckets: int, n_scenarios: int, seed: int, cap: float) -> Instance:
    if family == "model":
        program = make_case(f"solver no {seed}", cap, n_buckets, n_scenarios).program
    else:
        program = _synthetic(family, n_buckets, n_scenarios, seed, cap)
    if cap == LEAST:
        program = replace(program, max_losses=_fewest_losses(family, n_buckets, n_scenarios, seed))
    return Instance(family, n_buckets, n_scenarios, seed, cap, program)


def _fewest_losses(family: Family, n_buckets: int, n_scenarios: int, seed: int) -> int:
    """Of any portfolio within the other limits, as far as a bisection of limited work finds one."""
    program = make_instance(family, n_buckets, n_scenarios, seed, 1.0).program
    backend = make_backend("branch-and-bound")

    def attempt(losses: int, control: SolveControl) -> Attempt:
        outcome = backend.maximize(
            replace(program, objective=np.zeros_like(program.objective), max_losses=losses), control
        )
        found = None if outcome.x is None else loss_count(multiples(program, outcome.x))
        return Attempt(found, outcome.status == "infeasible", outcome.work)

    control = SolveControl(work_limit=LEAST_WORK)
    return least_losses(attempt, control, least=0, achieved=program.max_losses).achieved


def _synthetic(family: Family, n_buckets: int, n_scenarios: int, seed: int, cap: float) -> ChanceProgram:
    stage = np.arange(n_buckets) * N_STAGES // n_buckets
    moic, win = _multiples(family, stage, n_scenarios, np.random.Generator(np.random.Philox(seed)))
    rows, low, high = _linear_limits(stage, 100.0 / ALL_IN_MUSD[stage] * win)
    free = ChanceProgram(
        objective=moic.mean(axis=1),
        polytope=Polytope(rows, low, high, np.zeros(n_buckets), np.full(n_buckets, BUCKET_MAX)),
        payoffs=np.ascontiguousarray(moic.T),
        payoff_offset=np.zeros(n_scenarios),
        max_losses=n_scenarios,
        cvar_confidence=CONFIDENCE,
        cvar_limit=np.inf,
        cvar_slack=np.zeros(n_buckets),
    )
    best = best_without_risk_limits(free)
    low = np.append(low[:-1], WINNER_SHARE * (rows[-1] @ best))
    free = replace(free, polytope=replace(free.polytope, row_lower=low))
    portfolio = multiples(free, best)
    cvar = 0.5 * (least_cvar(free) + loss_tail(portfolio, CONFIDENCE).value)
    return replace(free, max_losses=int(cap * loss_count(portfolio) + 1e-9), cvar_limit=cvar)


def _linear_limits(stage: FloatArray, winners: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Budget, sectors, stages, winners (without a minimum yet)."""
    n = len(stage)
    n_sectors = -(-n // N_STAGES)
    sector = np.arange(n) % n_sectors
    sectors = [(sector == k) * 1.0 for k in range(n_sectors)]
    stages = [(stage == k) * 1.0 for k in range(N_STAGES)]
    rows = np.array([np.ones(n), *sectors, *stages, winners])
    low = np.array([1.0, *[0.0] * n_sectors, *STAGE_BOUNDS[:, 0], -np.inf])
    high = np.array([1.0, *[SECTOR_MAX] * n_sectors, *STAGE_BOUNDS[:, 1], np.inf])
    return rows, low, high


def _multiples(
    family: Family, stage: FloatArray, n_scenarios: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """(B, S) multiples and (B,) chances of tenfold: Pareto exits, failures, one regime shock for all in a scenario."""
    n = len(stage)
    companies = 1 if family == "single" else 15
    median = MEDIAN[stage] * rng.uniform(0.8, 1.2, n)
    p90 = median * (P90 / MEDIAN)[stage] * rng.uniform(0.85, 1.15, n)
    failure = np.clip(FAILURE[stage] * rng.uniform(0.85, 1.15, n), 0.02, 0.95)
    regime = rng.choice(3, n_scenarios, p=[0.25, 0.5, 0.25])
    shock = rng.uniform(np.array([0.3, -0.3, -1.0])[regime], np.array([1.0, 0.3, -0.3])[regime])
    alpha = np.clip(np.log(5.0) / np.log(p90 / median), 0.5, 5.0)
    moic, win = np.empty((n, n_scenarios)), np.empty(n)
    for b in range(n):
        shape = (n_scenarios, companies)
        least = median[b] * (1.0 + 0.3 * shock)[:, None] / 2.0 ** (1.0 / alpha[b])
        noise = 0.5 * rng.uniform(-1, 1, (n_scenarios, 1)) + 0.3 * rng.uniform(-1, 1, shape)
        exits = least * rng.random(shape) ** (-1.0 / alpha[b]) * (1.0 + 0.5 * noise)
        failed = rng.random(shape) < np.clip(failure[b] * (1.0 - 0.3 * shock), 0.0, 1.0)[:, None]
        exits = np.minimum(np.where(failed, 0.0, exits), 1e4)
        moic[b] = exits.mean(axis=1) * (1.0 if family == "single" else RETAINED[stage[b]])
        win[b] = (exits >= 10.0).mean()
    return moic, win
