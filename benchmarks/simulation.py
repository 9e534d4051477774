"""What a scenario matrix costs: time, memory, and bytes, against the scalar reference model in the same run.

    python -m benchmarks.simulation            50 buckets, 400 and 5,000 scenarios; half a minute
    python -m benchmarks.simulation --smoke    a small case
    python -m benchmarks.simulation --json simulation.json

Times are medians of processor seconds on one core, so that other programs disturb them little; the compiled code is
loaded before. A company draw is one company in one scenario: for
`three_component_v1` an entry of the matrix, for `three_component_v2` a tenth of one. Peak memory is the resident set of
a process of its own, imports included. Nothing is asserted: a slow machine gives slow numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.markdown import table
from core.matrix.codec import decode, encode
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.request import parse_request
from core.request.normalize import normalize
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.stages import Stage
from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import reference_calibration

V1, V2 = "three_component_v1", "three_component_v2"
CALIBRATIONS = {V1: "us_venture_2004_2013", V2: "us_venture_2004_2013_v2"}
COMPANIES = {V1: 1, V2: 10}


def inputs_of(model: str, n_buckets: int, n_scenarios: int) -> SimulationInputs:
    stages = list(Stage)
    document = {
        "fundId": str(EXAMPLE_FUND_ID),
        "totalFundSize": 100_000_000,
        "maxLossProbability": 1,
        "cvarLimit": 1,
        "buckets": [
            {"stage": stages[b % len(stages)].value, "sector": f"Sector{b // len(stages):03}"} for b in range(n_buckets)
        ],
        "scenarioGenConfig": {"scenarioCount": n_scenarios},
        "modelVersion": model,
        "calibrationVersion": CALIBRATIONS[model],
    }
    snapshot = reference_calibration(CALIBRATIONS[model])
    return simulation_inputs(normalize(parse_request(document), snapshot).key_document)


def measured(n_buckets: int, scenario_counts: list[int], repeats: int) -> dict[str, Any]:
    rows = []
    for model in (V1, V2):
        generate = model_of(model).generate
        for n_scenarios in scenario_counts:
            inputs = inputs_of(model, n_buckets, n_scenarios)
            generate(inputs)
            times = [_seconds(lambda: generate(inputs)) for _ in range(repeats)]  # noqa: B023 - called at once
            draws = n_buckets * n_scenarios * COMPANIES[model]
            rows.append(
                {"model": model, "scenarios": n_scenarios, "seconds": times, "nsPerDraw": 1e9 * median(times) / draws}
            )
    matrices = {n: model_of(V2).generate(inputs_of(V2, n_buckets, n)) for n in scenario_counts}
    return {
        "buckets": n_buckets,
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "generation": rows,
        "payload": [_payload(matrix, repeats) for matrix in matrices.values()],
        "peak": [{"scenarios": n, **_peak_of(n_buckets, n)} for n in scenario_counts],
    }


def _payload(matrix: ScenarioMatrix, repeats: int) -> dict[str, float]:
    encoded = encode(matrix)
    keys, chances, states = matrix.bucket_keys, matrix.win_probability, matrix.states
    return {
        "scenarios": matrix.n_scenarios,
        "rawBytes": matrix.moic.nbytes,
        "payloadBytes": len(encoded.payload),
        "jsonBytes": len(json.dumps(matrix.moic.tolist(), separators=(",", ":"))),
        "encodeMs": 1000 * median(_seconds(lambda: encode(matrix)) for _ in range(repeats)),
        "decodeMs": 1000 * median(_seconds(lambda: decode(encoded, keys, chances, states)) for _ in range(3 * repeats)),
    }


def _peak_of(n_buckets: int, n_scenarios: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.simulation", "--peak", str(n_buckets), str(n_scenarios)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _print_peak(n_buckets: int, n_scenarios: int) -> None:
    inputs = inputs_of(V2, n_buckets, n_scenarios)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model_of(V2).generate(inputs)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"beforeMb": before / 1024, "peakMb": after / 1024}))


def _seconds(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def report(document: dict[str, Any]) -> str:
    per_draw = {row["scenarios"]: row["nsPerDraw"] for row in document["generation"] if row["model"] == V1}
    generation = [
        [
            row["model"],
            f"{document['buckets']} x {row['scenarios']:,} x {COMPANIES[row['model']]}",
            f"{median(row['seconds']):.3f}",
            f"{min(row['seconds']):.3f}",
            f"{max(row['seconds']):.3f}",
            f"{row['nsPerDraw']:,.0f}",
            f"{per_draw[row['scenarios']] / row['nsPerDraw']:.1f}",
        ]
        for row in document["generation"]
    ]
    payload = [
        [
            f"{document['buckets']} x {row['scenarios']:,}",
            f"{row['rawBytes']:,}",
            f"{row['payloadBytes']:,}",
            f"{row['jsonBytes']:,}",
            f"{1 - row['payloadBytes'] / row['jsonBytes']:.0%}",
            f"{row['encodeMs']:.1f}",
            f"{row['decodeMs']:.2f}",
            f"{peak['peakMb']:.0f}",
            f"{peak['peakMb'] - peak['beforeMb']:.0f}",
        ]
        for row, peak in zip(document["payload"], document["peak"], strict=True)
    ]
    return "\n\n".join(
        [
            f"Load average when measured: {document['load']}.",
            table(
                ["model", "buckets x scenarios x companies", "s, median", "least", "most", "ns a draw", "times v1"],
                generation,
            ),
            table(
                [
                    *("v2 matrix", "raw bytes", "stored", "as JSON", "smaller by", "encode, ms"),
                    *("decode and verify, ms", "peak memory, MB", "above the imports, MB"),
                ],
                payload,
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What a scenario matrix costs.")
    parser.add_argument("--smoke", action="store_true", help="a small case")
    parser.add_argument("--json", type=Path, help="also write the measurements here")
    parser.add_argument("--peak", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak is not None:
        _print_peak(*arguments.peak)
        return
    document = measured(8, [100], 3) if arguments.smoke else measured(50, [400, 5_000], 7)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2))
    print(report(document))


if __name__ == "__main__":
    main()
