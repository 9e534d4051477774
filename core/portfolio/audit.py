"""How an answer was found, as data: what the solves took and how good it is proven to be."""

from __future__ import annotations

import math
from typing import Any

from core.arrays import FloatArray
from core.matrix.scenario_set import Scenarios
from core.portfolio.passes import Chosen
from core.portfolio.problem import PortfolioProblem
from core.portfolio.tightening import Round, Tightened
from core.portfolio.true_gap import TrueGap
from core.portfolio.uniqueness import Uniqueness
from core.solver.effort import Effort
from core.solver.program import SolveControl


def audit_of(
    chosen: Chosen,
    problem: PortfolioProblem,
    scenarios: Scenarios,
    weights: FloatArray,
    *,
    effort: Effort,
    seconds: dict[str, float],
    uniqueness: Uniqueness | None,
    prices_complete: bool | None,
    tightened: Tightened | None,
    gap: TrueGap | None,
    control: SolveControl,
) -> dict[str, Any]:
    """weights: (n_buckets,). Infinite where no bound is known. JSON-ready."""
    first, second = chosen.first, chosen.second
    return {
        "backend": first.backend,
        "fallback": first.fallback or second.fallback,
        "status": first.status,
        "objective": first.objective,
        "bound": first.bound,
        "gap": first.gap,
        "nodes": effort.nodes,
        "work": effort.work,
        "reproducible": effort.reproducible,
        "pass1Seconds": seconds["primary solve"],
        "pass2Seconds": seconds["tie-break"],
        "pass3Seconds": seconds.get("least squares"),
        "relaxationSeconds": seconds.get("relaxation"),
        "conflictSeconds": seconds.get("conflict"),
        "uniquenessSeconds": seconds.get("uniqueness"),
        "pricesSeconds": seconds.get("prices"),
        "boundSeconds": seconds.get("bound"),
        "pricesComplete": prices_complete,
        "tieBreak": {
            "proven": chosen.proven,
            "deviation": chosen.deviation,
            "deviationBound": -second.bound,
            "primaryLockEpsilon": problem.config.primary_lock_epsilon,
            **_unique(chosen, uniqueness, problem),
        },
        "expectations": _expectations(scenarios, weights),
        "riskScenarios": scenarios.n_scenarios,
        "evenSectors": _even_sectors(problem),
        "tightening": None if tightened is None else [_round(one) for one in tightened.rounds],
        "tightenedInside": None if tightened is None else tightened.inside,
        "trueGap": None if gap is None else {"lower": gap.lower, "upper": gap.upper, "confidence": gap.confidence},
        "settings": {
            "relativeGap": control.relative_gap,
            "workLimit": control.work_limit,
            "threads": 1,
            "seed": 42,
        },
    }


def _unique(chosen: Chosen, uniqueness: Uniqueness | None, problem: PortfolioProblem) -> dict[str, Any]:
    """Whether the answer is the only one: as close to equal weights, or, after a third solve, the least squares of
    those that lose in the same scenarios. If not, where another one differs most."""
    if chosen.third is not None:
        return {"unique": True if chosen.third == "unique" else None, "leastSquares": chosen.third == "unique"}
    witness = None if uniqueness is None else uniqueness.witness
    return {
        "unique": None if uniqueness is None else uniqueness.unique,
        "witness": None
        if witness is None
        else {
            "bucketId": problem.config.buckets[witness.bucket].bucket_id,
            "difference": witness.difference,
            "weights": witness.weights.tolist(),
        },
    }


def _expectations(scenarios: Scenarios, weights: FloatArray) -> dict[str, Any]:
    """standardError: of the portfolio's expected MOIC. Errors of buckets may be one error: they are added."""
    found = scenarios.expectations
    if found is None:
        return {"source": "sample", "standardError": None}
    return {"source": "distribution", "standardError": math.fsum(found.mean_error * weights)}


def _even_sectors(problem: PortfolioProblem) -> list[list[str]]:
    """Groups of sectors that share equally, each once, in the order of their first buckets."""
    buckets = problem.config.buckets
    groups = [sorted({buckets[b].sector for b in group}) for group in problem.groups if len(group) > 1]
    return [list(group) for group in dict.fromkeys(map(tuple, groups))]


def _round(one: Round) -> dict[str, Any]:
    estimate = one.estimate
    known = (
        {}
        if estimate is None
        else {
            "scenarios": estimate.scenarios,
            "lossProbability": estimate.loss_probability,
            "lossProbabilityError": estimate.loss_error,
            "cvar": estimate.cvar,
            "cvarError": estimate.cvar_error,
        }
    )
    return {
        "maxLosses": one.max_losses,
        "cvarLimit": one.cvar_limit,
        "expectedMoic": one.expected_moic,
        **known,
    }
