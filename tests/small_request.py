"""A request that is done at once."""

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
