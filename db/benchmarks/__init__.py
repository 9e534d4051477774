"""The benchmark snapshots that the product ships: published and fitted figures, each with its source beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from core.calibration.snapshot import CalibrationSnapshot

DEFAULT_BENCHMARK = "us_venture_2004_2013_v2"


def shipped_benchmark(version: str = DEFAULT_BENCHMARK) -> CalibrationSnapshot:
    """The snapshot of that version, which must be one in this package."""
    (snapshot,) = (found for found in shipped_benchmarks() if found.version == version)
    return snapshot


def shipped_benchmarks() -> list[CalibrationSnapshot]:
    """Every snapshot in this package, by file name, which is its version."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    return [CalibrationSnapshot.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files]
