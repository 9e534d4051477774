"""Which calibration a request is answered with: one that vcfolio ships, or one in a file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from core.calibration.snapshot import CalibrationSnapshot
from core.errors import BadInput, FieldProblem
from core.request import OptimizationRequest
from core.request.wording import problems_in_words
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations

Calibration = CalibrationSnapshot
"""Rates, exit multiples and deal terms by stage, and by sector."""

NIL_FUND = UUID(int=0)
"""The fund of a request that names none. It is part of the matrix key: another fund has other scenarios."""

CalibrationSource = Calibration | str | Path | None


def shipped_calibrations() -> dict[str, Calibration]:
    """Those that vcfolio ships, by version."""
    return {snapshot.version: snapshot for snapshot in reference_calibrations()}


def calibration_for(request: OptimizationRequest, source: CalibrationSource) -> Calibration:
    """source: a calibration, the version of a shipped one, or a TOML or JSON file; None: the version that the request
    names, or the default one that is shipped.

    Raises BadInput for a version that is not shipped and for a file that is no calibration.
    """
    if isinstance(source, Calibration):
        return source
    shipped = shipped_calibrations()
    if source is None:
        version = request.calibration_version or DEFAULT_REFERENCE
        if version not in shipped:
            rule = f"must be a shipped calibration ({', '.join(shipped)}); pass `calibration` for one in a file"
            raise BadInput.of("calibrationVersion", version, rule)
        return shipped[version]
    if isinstance(source, str) and source in shipped:
        return shipped[source]
    return read_calibration(Path(source))


def read_calibration(path: Path) -> Calibration:
    """From a TOML file, or a JSON file by its ending. Raises BadInput."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        shipped = ", ".join(shipped_calibrations())
        rule = f"cannot be read: {error.strerror}; it is no shipped calibration ({shipped}) either"
        raise BadInput.of("calibration", str(path), rule) from error
    except UnicodeDecodeError as error:
        raise BadInput.of("calibration", str(path), f"must be UTF-8 text: {error.reason}") from error
    except ValueError as error:
        raise BadInput.of("calibration", str(path), f"is neither TOML nor JSON: {error}") from error
    try:
        return Calibration.model_validate(document)
    except ValidationError as error:
        problems = problems_in_words(error)
    raise BadInput([FieldProblem(f"calibration.{one.field}", one.value, one.rule) for one in problems])
