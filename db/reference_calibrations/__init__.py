"""The reference calibrations that the product ships: published and fitted figures, each with its source beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from core.calibration.snapshot import CalibrationSnapshot

DEFAULT_REFERENCE = "us_venture_2004_2013_v2"


def reference_calibration(version: str = DEFAULT_REFERENCE) -> CalibrationSnapshot:
    """The snapshot of that version, which must be one in this package."""
    (snapshot,) = (found for found in reference_calibrations() if found.version == version)
    return snapshot


def reference_calibrations() -> list[CalibrationSnapshot]:
    """Every snapshot in this package, by file name, which is its version."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    return [CalibrationSnapshot.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files]
