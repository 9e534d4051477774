"""How long a calibration takes, from CSV to snapshot, and how long the other method takes on the same rows.

    python -m benchmarks.calibration COMPANIES.csv ROUNDS.csv MAPPING.toml AS_OF [--runs 7] [--json FILE]

Without the database: reading, checking, estimating, building the snapshot; report and chart are timed separately.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.markdown import table
from core.calibration.calibration import calibrate_by_simple_cohort, calibrate_by_survival
from core.calibration.survival import SurvivalTerms
from core.charts.calibration_report import calibration_report
from db.calibrate import HistoryFiles, read_files
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("companies", "rounds", "mapping"):
        parser.add_argument(name, type=Path)
    parser.add_argument("as_of", type=date.fromisoformat)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = HistoryFiles(options.companies, options.rounds, options.mapping)
    seconds = measure(files, options.as_of, options.runs)
    document = {"machine": {"processor": platform.processor(), "cores": os.cpu_count()}, "seconds": seconds}
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))
    print(report(seconds, options.runs))


def measure(files: HistoryFiles, as_of: date, runs: int) -> dict[str, list[float]]:
    """Seconds of each step, one run after the other so that all meet the same load."""
    (benchmark,) = [one for one in reference_calibrations() if one.version == DEFAULT_REFERENCE]
    terms = SurvivalTerms()
    found: dict[str, list[float]] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        began = perf_counter()
        result = work()
        found.setdefault(step, []).append(perf_counter() - began)
        return result

    for _ in range(runs):
        history, source = timed("read and check both files", lambda: read_files(files, as_of))
        calibration = timed(
            "survival, to the snapshot",
            lambda h=history, s=source: calibrate_by_survival(h, s, "measured", benchmark, terms),
        )
        timed(
            "simple_cohort, to the snapshot",
            lambda h=history, s=source: calibrate_by_simple_cohort(h, s, "measured", benchmark),
        )
        timed("report with chart", lambda c=calibration: calibration_report(c, compare=True))
    found["**CSV to snapshot by survival**"] = [
        reading + estimating
        for reading, estimating in zip(
            found["read and check both files"], found["survival, to the snapshot"], strict=True
        )
    ]
    return found


def report(seconds: dict[str, list[float]], runs: int) -> str:
    rows = [
        [step, f"{median(values):.3f}", f"{min(values):.3f}", f"{max(values):.3f}"] for step, values in seconds.items()
    ]
    return table([f"seconds; runs: {runs}", "median", "least", "most"], rows)


if __name__ == "__main__":
    main()
