"""The cost and memory of work divided into block ranges: a matrix of 500 x 5,000 x 20 companies, and a large sample.

    python -m benchmarks.scale_out            about two minutes
    python -m benchmarks.scale_out --smoke    small ones

Every line is measured in its own process, for its peak memory. Block ranges run in threads as in Prefect's thread
pool, without Prefect, whose cost is some milliseconds per range. Processor seconds are those of all threads; divided
by the wall clock they show how many cores other programs left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.markdown import table
from benchmarks.simulation import V2, inputs_of
from core.matrix.key import simulation_inputs
from core.portfolio.dollars import whole_deals
from core.portfolio.limits import Limits
from core.request import parse_request
from core.request.normalize import normalize
from core.result.reports import LargeSampleDocument
from core.risk.large_sample import Judged, JudgedAgainst, large_sample, parts_of_sample, tally_part
from core.simulation.block_ranges import BlockRange, block_ranges_of
from core.simulation.models import model_of
from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import reference_calibration

WORKERS = os.cpu_count() or 1


def matrix(n_buckets: int, n_scenarios: int, companies: int, *, in_parts: bool) -> str:
    """The sha256 of the multiples."""
    inputs = inputs_of(V2, n_buckets, n_scenarios)
    assert inputs.copula is not None
    inputs = replace(inputs, copula=replace(inputs.copula, companies_per_bucket=companies))
    model = model_of(V2)
    if not in_parts:
        return hashlib.sha256(model.generate(inputs).moic.tobytes()).hexdigest()
    assert model.by_block_range is not None
    make, parts = model.by_block_range.simulate, block_ranges_of(n_scenarios, n_buckets * companies)
    made = _in_threads(lambda part: make(inputs, *part), parts)
    return hashlib.sha256(model.by_block_range.assemble(inputs, made).moic.tobytes()).hexdigest()


def sample(scenarios: int) -> str:
    """The sha256 of the report on equal weights of the example calibration."""
    document = {
        "fundId": str(EXAMPLE_FUND_ID),
        "totalFundSize": 100_000_000,
        "maxLossProbability": 0.3,
        "cvarLimit": 0.5,
        "buckets": {"stages": ["Seed", "A", "B", "C"], "sectors": [f"S{number:02}" for number in range(12)]},
        "calibrationVersion": "us_venture_2004_2013_v2",
    }
    normalized = normalize(parse_request(document), reference_calibration("us_venture_2004_2013_v2"))
    config, inputs = normalized.config, simulation_inputs(normalized.key_document)
    weights = np.full(len(config.buckets), 1.0 / len(config.buckets))
    judged = Judged(config, weights, whole_deals(weights, config))
    tallies = _in_threads(lambda part: tally_part(judged, inputs, part), parts_of_sample(judged, inputs, scenarios))
    against = JudgedAgainst(Limits.of(config, 400), 0.3, 2.0, 2.0, equal_is_feasible=None)
    report = LargeSampleDocument.of(UUID(int=0), large_sample(inputs, against, tallies))
    return hashlib.sha256(report.model_dump_json(by_alias=True).encode()).hexdigest()


def _in_threads(work: Callable[[BlockRange], Any], parts: list[BlockRange]) -> list[Any]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, parts))


def _measure(name: str, *sizes: int) -> None:
    """In this process, and prints it as JSON."""
    inputs_of(V2, 8, 1)
    matrix(4, 10, 1, in_parts=False)  # the compiled code is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began, spent = time.perf_counter(), time.process_time()
    digest = sample(*sizes) if name == "sample" else matrix(*sizes, in_parts=name == "parts")
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "processorSeconds": time.process_time() - spent,
                "beforeMb": before,
                "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "sha256": digest,
            }
        )
    )


def _measured(name: str, *sizes: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale_out", "--measure", name, *map(str, sizes)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def report(shape: tuple[int, int, int], samples: list[int]) -> str:
    size = f"{shape[0]} x {shape[1]:,} x {shape[2]}"
    cases = [
        (f"matrix {size}, in one piece", _measured("whole", *shape)),
        (f"matrix {size}, in parts, {WORKERS} threads", _measured("parts", *shape)),
        *((f"sample of {count:,}, {WORKERS} threads", _measured("sample", count)) for count in samples),
    ]
    assert cases[0][1]["sha256"] == cases[1][1]["sha256"]
    rows = [
        [
            name,
            f"{found['seconds']:.1f}",
            f"{found['processorSeconds']:.1f}",
            f"{found['peakMb']:.0f}",
            f"{found['peakMb'] - found['beforeMb']:.0f}",
        ]
        for name, found in cases
    ]
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    head = ["", "s, wall clock", "processor s", "peak memory, MB", "above the imports, MB"]
    return f"Load average when measured: {load}.\n\n{table(head, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="What parts cost.")
    parser.add_argument("--smoke", action="store_true", help="small ones")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        _measure(arguments.measure[0], *map(int, arguments.measure[1:]))
    elif arguments.smoke:
        print(report((40, 2_000, 20), [20_000]))
    else:
        print(report((500, 5_000, 20), [50_000, 500_000]))


if __name__ == "__main__":
    main()
