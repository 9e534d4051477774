"""Requests that several kinds of tests ask: one that is done at once, and one whose optimum takes minutes to prove."""

from __future__ import annotations

from typing import Any

from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import DEFAULT_REFERENCE

SMALL: dict[str, Any] = {
    "fundId": str(EXAMPLE_FUND_ID),
    "totalFundSize": 100_000_000,
    "maxLossProbability": 0.6,
    "cvarLimit": 0.9,
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health"]},
    "scenarioGenConfig": {"scenarioCount": 40},
    "validationScenarios": 100,
    "calibrationVersion": DEFAULT_REFERENCE,
}

HARD: dict[str, Any] = {
    "buckets": {"stages": ["Seed", "A", "B", "C"], "sectors": [f"S{number}" for number in range(12)]},
    "maxLossProbability": 0.12,
    "cvarLimit": 0.3,
    "minExpectedWinners": 1.75,
    "bucketMaxWeight": 0.15,
    "scenarioGenConfig": {"scenarioCount": 400},
    "workLimit": 2**31 - 1,
    "taxonomyVersion": "fffd945f7a9677ea4279504f614a35",
}
"""Changes to SMALL. In its world an answer is found within seconds; in many others all is proven at once."""
