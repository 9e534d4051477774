"""Simulate deals and funds as a request would, and set them beside what has been published."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import CalibrationSnapshot
from core.external_validation.published import PUBLISHED_DEALS, PUBLISHED_FUNDS, ROUNDS, FundMultiples, MultipleRange
from core.matrix.key import simulation_inputs
from core.request import parse_request
from core.request.normalize import NormalizedRequest, normalize
from core.simulation.inputs import SimulationInputs
from core.simulation.models import ScenarioModel, model_of
from core.stages import Stage

DEALS_PER_STAGE = 40_000
FUNDS = 20_000
FUND_DEALS = 30
SECTORS = tuple(f"Sector {number:02}" for number in range(1, 13))

FEE_SHARE = 0.2
"""2% of commitments a year for ten years, so that four fifths of paid-in capital are invested."""
CARRY = 0.2
"""Of the profit, without a hurdle."""

ERROR_GROUPS = 40


@dataclass(frozen=True, slots=True)
class DealShare:
    """simulated: share of deals in the range; error: its standard error."""

    range: MultipleRange
    simulated: float
    error: float


@dataclass(frozen=True, slots=True)
class FundQuantiles:
    """Multiples of simulated funds. errors: standard errors of the four, in order."""

    label: str
    lower: float
    median: float
    upper: float
    p90: float
    errors: tuple[float, float, float, float]

    @property
    def quartile_ratio(self) -> float:
        return self.upper / self.lower


@dataclass(frozen=True, slots=True)
class Comparison:
    """divergence: of the simulated from the published shares of deals, Kullback and Leibler, nat per deal."""

    model: str
    calibration: str
    deals: tuple[DealShare, ...]
    divergence: float
    gross: FundQuantiles
    net: FundQuantiles
    published_funds: tuple[FundMultiples, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "calibration": self.calibration,
            "deals": [
                {
                    "multiple": deal.range.label,
                    "published": deal.range.share,
                    "simulated": deal.simulated,
                    "standardError": deal.error,
                }
                for deal in self.deals
            ],
            "divergenceNat": self.divergence,
            "simulatedFunds": [_fund_json(fund) for fund in (self.gross, self.net)],
            "publishedFunds": [
                {
                    "label": fund.label,
                    "lowerQuartile": fund.lower,
                    "median": fund.median,
                    "upperQuartile": fund.upper,
                    "p90": fund.p90,
                    "source": fund.source,
                }
                for fund in self.published_funds
            ],
        }


def _fund_json(fund: FundQuantiles) -> dict[str, Any]:
    return {
        "label": fund.label,
        "lowerQuartile": fund.lower,
        "median": fund.median,
        "upperQuartile": fund.upper,
        "p90": fund.p90,
        "standardErrors": list(fund.errors),
        "quartileRatio": fund.quartile_ratio,
    }


def compare(model: str, snapshot: CalibrationSnapshot) -> Comparison:
    """The model on a calibration that has all stages. Raises BadInput where the two do not belong together."""
    deals = _deal_shares(model_of(model), snapshot)
    gross = _fund_multiples(model_of(model), snapshot)
    divergence = math.fsum(
        deal.range.share * math.log(deal.range.share / deal.simulated) if deal.simulated > 0 else math.inf
        for deal in deals
    )
    return Comparison(
        model=model,
        calibration=snapshot.version,
        deals=deals,
        divergence=divergence,
        gross=_quantiles(f"simulated, {FUND_DEALS} deals, gross", gross),
        net=_quantiles("simulated, after fees and carry", net_of_fees(gross)),
        published_funds=PUBLISHED_FUNDS,
    )


def net_of_fees(gross: FloatArray) -> FloatArray:
    """What investors get for a dollar paid in, of funds that earn `gross` on what they invest."""
    before_carry = (1.0 - FEE_SHARE) * gross
    net: FloatArray = before_carry - CARRY * np.maximum(before_carry - 1.0, 0.0)
    return net


def _deal_shares(model: ScenarioModel, snapshot: CalibrationSnapshot) -> tuple[DealShare, ...]:
    """One check each, without reserves, in the mix of stages of published rounds; companies of their own scenarios."""
    buckets = [{"stage": stage.value, "sector": SECTORS[0], "reserveRatio": 0, "roundsToExit": 0} for stage in Stage]
    inputs = _inputs(_normalized(model, snapshot, buckets))
    moic = model.out_of_sample(inputs, DEALS_PER_STAGE, np.ones(len(inputs.buckets), dtype=np.int64)).moic
    mix = np.array([ROUNDS[bucket.stage] for bucket in inputs.buckets]) / sum(ROUNDS.values())
    return tuple(_deal_share(deals, mix @ _within(deals, moic)) for deals in PUBLISHED_DEALS)


def _within(deals: MultipleRange, moic: FloatArray) -> FloatArray:
    inside = (moic >= deals.low) & (moic < (math.inf if deals.high is None else deals.high))
    return inside.astype(np.float64)


def _deal_share(deals: MultipleRange, by_scenario: FloatArray) -> DealShare:
    return DealShare(deals, float(by_scenario.mean()), float(by_scenario.std(ddof=1)) / math.sqrt(by_scenario.size))


def _fund_multiples(model: ScenarioModel, snapshot: CalibrationSnapshot) -> FloatArray:
    """(FUNDS,): a fund a scenario, its deals in the mix of stages, one after the other over the sectors.

    Reserves are those of the calibration's deal terms; every deal takes its check and its reserves of the fund.
    """
    buckets = [{"stage": stage.value, "sector": sector} for stage in Stage for sector in SECTORS]
    normalized = _normalized(model, snapshot, buckets)
    inputs = _inputs(normalized)
    counts = np.zeros(len(inputs.buckets), dtype=np.int64)
    keys = [bucket.key for bucket in inputs.buckets]
    for position, stage in enumerate(_fund_stages()):
        counts[keys.index(f"{stage}_{SECTORS[position % len(SECTORS)]}")] += 1
    all_in = np.array([bucket.all_in_cost_usd for bucket in normalized.config.buckets])
    weights = counts * all_in / float(counts @ all_in)
    multiples: FloatArray = weights @ model.out_of_sample(inputs, FUNDS, counts).moic
    return multiples


def _fund_stages() -> list[Stage]:
    """The stage of each deal: the mix of published rounds in whole deals, largest remainders up."""
    exact = {stage: FUND_DEALS * count / sum(ROUNDS.values()) for stage, count in ROUNDS.items()}
    whole = {stage: int(share) for stage, share in exact.items()}
    by_remainder = sorted(Stage, key=lambda stage: whole[stage] - exact[stage])
    for stage in by_remainder[: FUND_DEALS - sum(whole.values())]:
        whole[stage] += 1
    return [stage for stage in Stage for _ in range(whole[stage])]


def _normalized(
    model: ScenarioModel, snapshot: CalibrationSnapshot, buckets: list[dict[str, Any]]
) -> NormalizedRequest:
    document = {
        "fundId": "00000000-0000-4000-8000-000000000001",
        "totalFundSize": 100_000_000,
        "maxLossProbability": 1,
        "cvarLimit": 1,
        "buckets": buckets,
        "taxonomyVersion": "realism",
        "modelVersion": model.version,
        "calibrationVersion": snapshot.version,
    }
    return normalize(parse_request(document), snapshot)


def _inputs(normalized: NormalizedRequest) -> SimulationInputs:
    return simulation_inputs(normalized.key_document)


def _quantiles(label: str, multiples: FloatArray) -> FundQuantiles:
    """Standard errors from disjoint groups of funds, whose quantiles vary sqrt(ERROR_GROUPS) times as much."""
    levels = [0.25, 0.5, 0.75, 0.9]
    groups = np.quantile(multiples.reshape(ERROR_GROUPS, -1), levels, axis=1)
    errors = (groups.std(axis=1, ddof=1) / math.sqrt(ERROR_GROUPS)).tolist()
    lower, median, upper, p90 = np.quantile(multiples, levels).tolist()
    return FundQuantiles(label, lower, median, upper, p90, (errors[0], errors[1], errors[2], errors[3]))
