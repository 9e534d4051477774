"""How much of an answer is luck, and whether limits that are said to hold do.

    python -m benchmarks.decision [--seeds 10] [--requests 100] [--risk 20000]
                                [--others 1000000] [--json FILE]

Seeds: the example request under other seeds (`taxonomyVersion`), with limits that leave room and limits that bind.
Turnover is half the sum of differences of weights, the largest over all pairs. Requests: of random limits with two
points to spare beyond what a first answer needs, how many are said to hold for the weights, and how many of those break
a limit in `others` scenarios by more than two standard errors. Sizes: time and memory by number of scenarios.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.markdown import table
from core import pipeline
from core.arrays import FloatArray
from core.matrix.key import simulation_inputs
from core.matrix.scenario_set import ScenarioSet
from core.portfolio.exchangeable import exchangeable_buckets
from core.portfolio.optimize import Optimum, optimize
from core.portfolio.strict import portfolio_multiples, shortfalls
from core.request import parse_request
from core.request.normalize import NormalizedRequest
from core.request.normalized_config import NormalizedConfig
from core.risk.intervals import JOINT_QUANTILE, normal, wilson
from core.risk.measures import cvar
from core.risk.sampling_error import standard_errors
from core.risk.scenario_sets import SecondSet, expectations_of
from core.simulation.drawing import draw
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.philox import Purpose
from core.solver.backends import make_backend
from core.solver.feasibility import loss_count
from core.solver.program import SolveControl
from db.reference_calibrations import reference_calibration

EXAMPLE = Path(__file__).parent.parent / "examples" / "fund.json"
SECTORS = {
    "AI": (1.1, 1.2),
    "Biotech": (1.2, 1.15),
    "Cleantech": (1.3, 1.1),
    "Consumer": (1.05, 0.95),
    "Cybersecurity": (0.9, 1.05),
    "Enterprise": (0.85, 1.02),
    "Fintech": (0.95, 1.04),
    "Hardware": (1.15, 0.98),
    "Health": (1.0, 1.03),
    "Logistics": (1.02, 0.97),
    "Media": (1.08, 0.93),
    "Mobility": (1.12, 1.06),
}
"""Multipliers of failures and of returns that tell sectors apart."""
MULTIPLIERS = {
    "policy": {
        "sectorRiskMultipliers": {name: risk for name, (risk, _) in SECTORS.items()},
        "sectorReturnMultipliers": {name: returns for name, (_, returns) in SECTORS.items()},
    }
}
CASES: dict[str, dict[str, Any]] = {
    "the example: loss .2, CVaR .35, winners 1.4": {},
    "CVaR .22, winners 1.2": {"cvarLimit": 0.22, "minExpectedWinners": 1.2},
    "loss .128, a point above the least with 1.4 winners": {"maxLossProbability": 0.128},
    "sectors with multipliers of their own": MULTIPLIERS,
    "the same, CVaR .25, winners 1.2": MULTIPLIERS | {"cvarLimit": 0.25, "minExpectedWinners": 1.2},
}
JUDGED = 50_000
POINTS_TO_SPARE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seeds", 10), ("requests", 100), ("risk", 20_000), ("others", 1_000_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    if options.seeds:
        found["seeds"] = [by_seeds(name, changes, options.seeds, options.risk) for name, changes in CASES.items()]
        print(table_of(found["seeds"]), flush=True)
    if options.requests:
        found["requests"] = random_requests(options.requests, options.risk, options.others)
        print(json.dumps(found["requests"]), flush=True)
    found["sizes"] = [by_size(n) for n in (1_000, 5_000, 20_000, 50_000)]
    print(table_of(found["sizes"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def table_of(rows: list[dict[str, Any]]) -> str:
    return table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])


def prepared(changes: dict[str, Any], seed: int, risk: int) -> NormalizedRequest:
    document = json.loads(EXAMPLE.read_text()) | changes | {"taxonomyVersion": f"seed-{seed}", "riskScenarios": risk}
    return pipeline.prepare(parse_request(document), reference_calibration(document["calibrationVersion"]))


def scenarios_of(config: NormalizedConfig, inputs: SimulationInputs) -> ScenarioSet:
    """As a session has them, without the matrix that it would not use."""
    assert config.risk_scenarios is not None
    version = config.sim_model_version
    expected = expectations_of(inputs, version)
    companies = model_of(version).matrix_companies(inputs)
    moic = draw(version, inputs, Purpose.RISK, range(config.risk_scenarios), companies).moic
    keys = tuple(bucket.bucket_id for bucket in config.buckets)
    return ScenarioSet(moic, keys, expected.win_probability, expected, exchangeable_buckets(inputs))


def decide(config: NormalizedConfig, inputs: SimulationInputs) -> tuple[Optimum, float, float]:
    """The answer, the seconds that its scenarios took, and those of its solves."""
    began = perf_counter()
    scenarios = scenarios_of(config, inputs)
    second = SecondSet(config, inputs)
    second.estimate(np.full(len(config.buckets), 1.0 / len(config.buckets)))
    drawn = perf_counter()
    control = SolveControl(work_limit=config.work_limit)
    optimum = optimize(config, scenarios, make_backend(), control, clock=perf_counter, estimate=second.estimate)
    return optimum, drawn - began, perf_counter() - drawn


def in_others(
    config: NormalizedConfig, inputs: SimulationInputs, weights: FloatArray, scenarios: range
) -> tuple[FloatArray, float]:
    """Multiples in scenarios that nothing was chosen on, and their CVaR."""
    version = config.sim_model_version
    companies = np.where(weights > 0.0, model_of(version).matrix_companies(inputs), 0)
    parts = []
    for first in range(scenarios.start, scenarios.stop, JUDGED):
        part = range(first, min(first + JUDGED, scenarios.stop))
        parts.append(portfolio_multiples(weights, draw(version, inputs, Purpose.OUT_OF_SAMPLE, part, companies).moic))
    multiples = np.concatenate(parts)
    return multiples, cvar(shortfalls(multiples), config.cvar_confidence_level)


def by_seeds(name: str, changes: dict[str, Any], seeds: int, risk: int) -> dict[str, Any]:
    answers, drawn_s, solve_s, tails = [], [], [], []
    for seed in range(seeds):
        request = prepared(changes, seed, risk)
        inputs = simulation_inputs(request.key_document)
        optimum, drawn, solved = decide(request.config, inputs)
        answers.append(optimum)
        drawn_s.append(drawn)
        solve_s.append(solved)
        tails.append(in_others(request.config, inputs, optimum.weights, range(JUDGED))[1])
    moved = [float(np.abs(a.weights - b.weights).sum() / 2.0) for a, b in combinations(answers, 2)]
    return {
        "request": name,
        "largest turnover": round(max(moved), 4),
        "mean turnover": round(float(np.mean(moved)), 4),
        "least expected MOIC": round(min(a.figures.expected_moic for a in answers), 4),
        "largest CVaR elsewhere": round(max(tails), 4),
        "drawing, s": round(median(drawn_s), 2),
        "solving, s": round(median(solve_s), 2),
    }


@dataclass(frozen=True, slots=True)
class Judgement:
    """inside: the tightening came to its end; holds: both limits are shown to be kept; broken: in very many others."""

    inside: bool
    holds: bool
    broken: bool


def random_requests(count: int, risk: int, others: int) -> dict[str, int]:
    rng = np.random.Generator(np.random.Philox(20))
    found = [judged_request(rng, number, risk, others) for number in range(count)]
    return {
        "requests": count,
        "tightened inside": sum(one.inside for one in found),
        "said to hold": sum(one.holds for one in found),
        "of those broken": sum(one.broken for one in found),
    }


def judged_request(rng: np.random.Generator, number: int, risk: int, others: int) -> Judgement:
    """Limits: what a portfolio between the best and an even one has in scenarios of its own, and two points more."""
    changes: dict[str, Any] = dict(MULTIPLIERS) if rng.random() < 0.5 else {}
    changes |= {
        "bucketMaxWeight": float(rng.choice([0.05, 0.1, 0.15, 0.3])),
        "totalFundSize": float(rng.choice([5e7, 1e8, 3e8])),
        "stageBounds": {},
        "sectorBounds": {},
        "minExpectedWinners": 0.0,
    }
    free = prepared(changes | {"maxLossProbability": 1.0, "cvarLimit": 1.0}, number, risk)
    inputs = simulation_inputs(free.key_document)
    scenarios, backend = scenarios_of(free.config, inputs), make_backend()
    best = optimize(free.config, scenarios, backend, SolveControl(), clock=perf_counter, explain=False).weights
    share, even = rng.uniform(0.0, 0.8), np.full(len(best), 1.0 / len(best))
    own = replace(inputs, matrix_key="limits")
    multiples, tail = in_others(free.config, own, share * best + (1.0 - share) * even, range(JUDGED))
    limits = {"maxLossProbability": lost_share(multiples) + POINTS_TO_SPARE, "cvarLimit": tail + POINTS_TO_SPARE}
    config = prepared(changes | limits, number, risk).config
    optimum, _, _ = decide(config, inputs)
    inside = bool(optimum.audit["tightenedInside"])
    judged, tail = in_others(config, inputs, optimum.weights, range(JUDGED))
    lost = wilson(loss_count(judged), JUDGED, JOINT_QUANTILE)
    holds = (
        lost.high <= config.max_loss_probability
        and normal(tail, cvar_error(judged, config), JOINT_QUANTILE).high <= config.cvar_limit
        and not optimum.relaxations
    )
    if not holds:
        return Judgement(inside, holds=False, broken=False)
    truth, tail = in_others(config, inputs, optimum.weights, range(JUDGED, JUDGED + others))
    over = lost_share(truth) - config.max_loss_probability
    of_loss = math.sqrt(config.max_loss_probability * (1.0 - config.max_loss_probability) / others)
    broken = over > 2.0 * of_loss or tail - config.cvar_limit > 2.0 * cvar_error(truth, config)
    return Judgement(inside, holds=True, broken=broken)


def lost_share(multiples: FloatArray) -> float:
    return loss_count(multiples) / multiples.size


def cvar_error(multiples: FloatArray, config: NormalizedConfig) -> float:
    error = standard_errors(multiples, multiples, config.cvar_confidence_level).cvar
    assert error is not None
    return error


def by_size(risk: int) -> dict[str, Any]:
    """48 buckets that are told apart, so that each is a column."""
    request = prepared(CASES["the same, CVaR .25, winners 1.2"], 0, risk)
    inputs = simulation_inputs(request.key_document)
    began = perf_counter()
    scenarios = scenarios_of(request.config, inputs)
    drawn = perf_counter() - began
    began = perf_counter()
    control = SolveControl(work_limit=request.config.work_limit)
    optimize(request.config, scenarios, make_backend(), control, clock=perf_counter, explain=False)
    return {
        "risk scenarios": risk,
        "MB": round(scenarios.moic.nbytes / 1e6, 1),
        "drawing, s": round(drawn, 2),
        "three solves, s": round(perf_counter() - began, 2),
    }


if __name__ == "__main__":
    main()
