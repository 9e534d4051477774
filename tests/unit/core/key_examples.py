"""A request with every field that a matrix key may depend on."""

from __future__ import annotations

from typing import Any

from core.calibration.snapshot import CalibrationSnapshot
from core.request import parse_request
from core.request.normalize import normalize
from tests.unit.core.examples import example_snapshot
from tests.unit.core.request_examples import CAMEL_CASE

BUCKETS = [
    {
        "stage": stage,
        "sector": sector,
        "medianMoic": median,
        "p90Moic": p90,
        "reserveRatio": 0.4,
        "initialCheckSize": 1_250_000.5,
        "checkSizeCv": 0.2,
        "roundsToExit": 3,
        "sectorRiskMultiplier": 1.1,
        "sectorReturnMultiplier": 0.9,
    }
    for stage, sector, median, p90 in [("Seed", "SaaS", 3, 12.5), ("A", "Bio", 2.25, 9), ("A", "Deep", 2, 8)]
]

FULL: dict[str, Any] = CAMEL_CASE | {
    "sectorBounds": {"Bio": {"min": 0.1, "max": 0.9}},
    "stageBounds": {"A": {"min": 0.1, "max": 0.9}},
    "buckets": BUCKETS,
    "scenarioGenConfig": CAMEL_CASE["scenarioGenConfig"]
    | {
        "regimeConfig": {
            "regimes": [
                {"name": "up", "probability": 0.6, "shockRanges": {"min": 0.1, "max": 0.5}},
                {"name": "down", "probability": 0.4, "shockRanges": {"min": -0.5, "max": -0.1}},
            ],
            "correlationMatrix": {
                "sectors": ["SaaS", "Bio", "Deep"],
                "values": [[1, 0.2, 0.1], [0.2, 1, 0.3], [0.1, 0.3, 1]],
            },
        },
    },
    "policy": CAMEL_CASE["policy"]
    | {
        "reserveRatioByStage": {"Seed": 0.6, "C": 0.1},
        "initialCheckSizeByStage": {"A": 2e6},
        "checkSizeCvByStage": {"B": 0.1},
        "sectorRiskMultipliers": {"Deep": 1.2},
        "sectorReturnMultipliers": {"Deep": 1.3},
    },
    "taxonomyVersion": "v1",
    "relaxationMode": "minimal",
    "primaryLockEpsilon": 0.001,
}
"""A request that says everything, its figures within six decimals."""

DOES_NOT_MOVE_THE_MATRIX = {
    "totalFundSize",
    "maxLossProbability",
    "cvarConfidenceLevel",
    "cvarLimit",
    "minExpectedWinners",
    "sectorBounds",
    "stageBounds",
    "bucketMaxWeight",
    "relaxationMode",
    "primaryLockEpsilon",
    "validationScenarios",
    "workLimit",
}


def key_of(document: dict[str, Any], snapshot: CalibrationSnapshot | None = None) -> str:
    return normalize(parse_request(document), snapshot or example_snapshot()).matrix_key


FULL_KEY = key_of(FULL)
