"""What has been published about deals and funds, each figure with its source."""

from __future__ import annotations

from dataclasses import dataclass

from core.stages import Stage


@dataclass(frozen=True, slots=True)
class MultipleRange:
    """Deals that return at least `low` and less than `high` (None: without end). share: published, of all deals."""

    label: str
    low: float
    high: float | None
    share: float


DEALS_SOURCE = (
    "Correlation Ventures, about 21,640 US venture financings, exits of 2004 to 2013, gross; decimals as reported, not "
    "re-verified; in whole percent in S. Levine, 'Venture Outcomes are Even More Skewed Than You Think', "
    "sethlevine.com, August 2014"
)
PUBLISHED_DEALS = (
    MultipleRange("< 1x", 0.0, 1.0, 0.648),
    MultipleRange("1-5x", 1.0, 5.0, 0.253),
    MultipleRange("5-10x", 5.0, 10.0, 0.059),
    MultipleRange("10-20x", 10.0, 20.0, 0.025),
    MultipleRange("20-50x", 20.0, 50.0, 0.011),
    MultipleRange(">= 50x", 50.0, None, 0.004),
)

ROUNDS_SOURCE = (
    "Crunchbase export of October 2013 (github.com/mode/blog, CC BY-NC 4.0): rounds of known series of US companies, "
    "January 2004 to October 2013"
)
ROUNDS = {Stage.SEED: 6566, Stage.A: 6364, Stage.B: 3373, Stage.C: 3299}
"""The mix of stages that simulated deals are drawn in; the published distribution does not say its own."""


@dataclass(frozen=True, slots=True)
class FundMultiples:
    """Net TVPI of the funds of a vintage: quartiles, median and 90th percentile, where published."""

    label: str
    lower: float | None
    median: float
    upper: float | None
    p90: float | None
    source: str


CARTA = (
    "Carta, VC Fund Performance Q3 2025, 2,835 US funds, net, as reported by SaaStr, 'What 2,835 VC Funds and $118 "
    "Billion Tells Us About Venture Returns', saastr.com; largely unrealized"
)
VALUE_ADD = (
    "Value Add VC, 'VC Performance', valueaddvc.com/vc-performance, compiled from Carta, PitchBook and Cambridge "
    "Associates; rounded thresholds of a secondary source, not re-verified"
)
PUBLISHED_FUNDS = (
    FundMultiples("vintage 2014", 1.3, 2.3, 4.2, None, VALUE_ADD),
    FundMultiples("vintage 2015", 1.2, 2.1, 3.9, None, VALUE_ADD),
    FundMultiples("vintage 2016", 1.1, 2.0, 3.6, None, VALUE_ADD),
    FundMultiples("vintage 2017, Carta", None, 1.76, None, 3.52, CARTA),
    FundMultiples("vintage 2018, Carta", None, 1.38, None, 3.07, CARTA),
)
