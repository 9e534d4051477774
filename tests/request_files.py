"""The request that tests of the command line ask with, as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REQUEST: dict[str, Any] = {
    "fundId": "00000000-0000-4000-8000-000000000001",
    "totalFundSize": 50_000_000.37,
    "maxLossProbability": 0.45,
    "cvarLimit": 0.9,
    # More than there can be, so that this limit gives way.
    "minExpectedWinners": 40,
    "bucketMaxWeight": 0.4,
    "sectorBounds": {"AI": {"max": 0.6}, "Health": {"min": 0.05}},
    "stageBounds": {"Seed": {"min": 0.1, "max": 0.7}},
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health", "Media"]},
    # The worst 5% are six and a half scenarios.
    "scenarioGenConfig": {"scenarioCount": 130},
    "validationScenarios": 500,
    # So that other code finds every figure again from the matrix alone.
    "expectations": "sample",
    "calibrationVersion": "us_venture_2004_2013_v2",
}


def write_request(directory: Path, changes: dict[str, Any]) -> str:
    """REQUEST with `changes`; a change to None leaves the field out."""
    document = {name: value for name, value in (REQUEST | changes).items() if value is not None}
    path = directory / "request.json"
    path.write_text(json.dumps(document))
    return str(path)
