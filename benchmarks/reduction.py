"""What optimizing on few representative scenarios gains over as many random ones.

    python -m benchmarks.reduction [--seeds 5] [--buckets 48] [--generated 5000] [--kept 400] [--json FILE]

Each seed generates its scenarios once. The same limits are set on the first `kept` of them and on the `kept` that are
chosen; both optima are evaluated in the same 20,000 out-of-sample scenarios. Limits: 90% of the losses of the best
portfolio without risk limits, and 85% of its CVaR, both on all generated scenarios; a bucket holds at most 15%.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from benchmarks.markdown import table
from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_matrix
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.optimize import optimize
from core.portfolio.strict import evaluate, portfolio_multiples
from core.request import parse_request
from core.request.normalize import NormalizedRequest, normalize
from core.request.normalized_config import NormalizedConfig
from core.risk.reduction_loss import reduction_loss
from core.simulation.models import model_of
from core.solver.program import SolveControl
from core.solver.textbook import TextbookBackend
from core.stages import Stage
from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations

FRESH = 20_000
BUCKET_CAP = 0.15
LOSS_SHARE, CVAR_SHARE = 0.9, 0.85


@dataclass(frozen=True, slots=True)
class Outcome:
    """One optimum. figures: expected MOIC, loss probability and CVaR in sample; out_of_sample: in other scenarios."""

    seed: int
    how: str
    status: str
    choose_cpu_s: float
    optimize_s: float
    largest_mean_error: float
    mean_distance: float
    figures: tuple[float, float, float]
    out_of_sample: tuple[float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seeds", 5), ("buckets", 48), ("generated", 5000), ("kept", 400)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    outcomes = [
        outcome
        for seed in range(options.seeds)
        for outcome in measure(seed, options.buckets, options.generated, options.kept)
    ]
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    print(report(outcomes))


def measure(seed: int, n_buckets: int, generated: int, kept: int) -> list[Outcome]:
    unlimited = _request(seed, n_buckets, generated, 1.0, 1.0)
    inputs = simulation_inputs(unlimited.key_document)
    model = model_of(unlimited.config.sim_model_version)
    everything = model.generate(inputs)
    free = evaluate(_solve(everything, unlimited.config)[0], everything, unlimited.config)
    config = _request(seed, n_buckets, generated, LOSS_SHARE * free.loss_probability, CVAR_SHARE * free.cvar).config
    fresh = model.out_of_sample(inputs, FRESH, model.matrix_companies(inputs)).moic
    began = process_time()
    chosen = reduce_matrix(everything, kept)
    choose_cpu_s = process_time() - began
    found = []
    for how, matrix, cpu_s in (("random", _first(everything, kept), 0.0), ("representative", chosen, choose_cpu_s)):
        started = perf_counter()
        weights, status = _solve(matrix, config)
        optimize_s = perf_counter() - started
        lost = reduction_loss(everything, matrix)
        here = evaluate(weights, matrix, config)
        multiples = portfolio_multiples(weights, fresh)
        worst = np.sort(np.maximum(0.0, 1.0 - multiples))[-FRESH // 20 :]
        found.append(
            Outcome(
                seed,
                how,
                status,
                cpu_s,
                optimize_s,
                lost.largest_mean_error,
                lost.mean_distance,
                (here.expected_moic, here.loss_probability, here.cvar),
                (float(multiples.mean()), float((multiples < 1 - 1e-9).mean()), float(worst.mean())),
            )
        )
    return found


def report(outcomes: list[Outcome]) -> str:
    rows = [
        [
            f"seed {one.seed}, {one.how}",
            one.status,
            f"{one.largest_mean_error:.3f}",
            f"{one.figures[0]:.3f}",
            f"{one.out_of_sample[0]:.3f}",
            f"{one.figures[0] - one.out_of_sample[0]:+.3f}",
            f"{one.out_of_sample[1] - one.figures[1]:+.1%}",
            f"{one.out_of_sample[2] - one.figures[2]:+.1%}",
            f"{one.optimize_s:.2f}",
        ]
        for one in outcomes
    ]
    head = [
        *("", "status", "largest error of a bucket's mean", "expected MOIC in sample", "out of sample", "optimism gap"),
        *("loss: out of sample - in sample", "CVaR: out of sample - in sample", "optimize, s"),
    ]
    lines = [table(head, rows)]
    for how in ("random", "representative"):
        own = [one for one in outcomes if one.how == how]
        gap = median(one.figures[0] - one.out_of_sample[0] for one in own)
        lines.append(
            f"{how}: median optimism gap {gap:+.3f}x, "
            f"expected MOIC out of sample {median(one.out_of_sample[0] for one in own):.3f}x, "
            f"choosing {median(one.choose_cpu_s for one in own):.1f} s of one core"
        )
    return "\n\n".join(lines)


def _solve(matrix: ScenarioMatrix, config: NormalizedConfig) -> tuple[np.ndarray, str]:
    control = SolveControl(work_limit=config.work_limit)
    optimum = optimize(config, matrix, TextbookBackend(), control, clock=perf_counter)
    relaxed = ", relaxed" if optimum.relaxations else ""
    return optimum.weights, f"{optimum.audit['status']}{relaxed}"


def _first(matrix: ScenarioMatrix, kept: int) -> ScenarioMatrix:
    return ScenarioMatrix(
        np.ascontiguousarray(matrix.moic[:, :kept]), matrix.bucket_keys, matrix.win_probability, matrix.states[:kept]
    )


def _request(seed: int, n_buckets: int, generated: int, max_loss: float, cvar_limit: float) -> NormalizedRequest:
    (benchmark,) = [one for one in reference_calibrations() if one.version == DEFAULT_REFERENCE]
    stages = list(Stage)
    document = {
        "fundId": str(EXAMPLE_FUND_ID),
        "totalFundSize": 100_000_000,
        "maxLossProbability": max_loss,
        "cvarLimit": cvar_limit,
        "bucketMaxWeight": BUCKET_CAP,
        "buckets": [{"stage": stages[b % 4].value, "sector": f"Sector{b // 4:02}"} for b in range(n_buckets)],
        "scenarioGenConfig": {"scenarioCount": generated},
        "taxonomyVersion": f"reduction {seed}",
        "calibrationVersion": benchmark.version,
    }
    return normalize(parse_request(document), benchmark)


if __name__ == "__main__":
    main()
