"""One entry of the matrix, company by company.

Its parts are added up here in Python in the order in which the compiled model adds them: they give the entry to the
last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import BucketParams, SimulationInputs
from core.simulation.philox import Purpose
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.blocks import MATRIX_STREAMS, company_words, factors_of_block, recycled_multiple
from core.simulation.three_component_v2.company import (
    CompanyModel,
    check_weight,
    exit_multiple,
    latent,
    uniform,
)
from core.simulation.three_component_v2.exit_map import rank_score
from core.simulation.three_component_v2.factors import common_distribution, common_scores
from core.simulation.three_component_v2.path import graduations, tilted_failure
from core.simulation.three_component_v2.prepared_model import PreparedModel, prepare_model
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class FollowOn:
    """A tranche of reserves: spent at a graduation into `stage`. Amounts per dollar of the first check.

    multiple: before dilution; ownership_retained: after later rounds; returned: 0 where the company fails.
    """

    stage: Stage
    invested: float
    multiple: float
    ownership_retained: float
    returned: float


@dataclass(frozen=True, slots=True)
class CompanyExplanation:
    """One company of the bucket. Multiples on the first check but for `moic`, which is on the allocated capital.

    idiosyncratic_factor: standard normal. rank: among the exits, in (0, 1); None for a failure, which has no multiple
    either.
    ownership_retained: of the first check's stake, after dilution. unspent: reserves that come back at 1x.
    """

    number: int
    check_usd: float
    weight: float
    exits: bool
    graduations: int
    last_stage: Stage
    idiosyncratic_factor: float
    rank: float | None
    exit_multiple: float | None
    ownership_retained: float
    first_check_returned: float
    follow_ons: tuple[FollowOn, ...]
    unspent: float
    moic: float


@dataclass(frozen=True, slots=True)
class Recycled:
    """withheld: of the multiple, and put into the companies, equal parts, times the cash multiple."""

    withheld: float
    cash_multiple: float
    companies: tuple[CompanyExplanation, ...]
    mean_moic: float


@dataclass(frozen=True, slots=True)
class EntryExplanation:
    """The entry of a bucket in a scenario.

    regime_factor, sector_factor: R and Y; common: T, what both add up to. failure_chance: in this scenario;
    calibrated_failure_chance: over all. before_recycling: mean of the companies by check size. moic: float64; entry:
    the same as the matrix holds it.
    """

    bucket: BucketParams
    scenario: int
    regime: str
    regime_shock: float
    regime_factor: float
    sector_factor: float
    common: float
    failure_chance: float
    calibrated_failure_chance: float
    companies: tuple[CompanyExplanation, ...]
    before_recycling: float
    recycled: Recycled | None
    moic: float
    entry: float


def explain(inputs: SimulationInputs, bucket_key: str, scenario: int) -> EntryExplanation:
    """Raises BadInput for a bucket or a scenario that the matrix does not have."""
    position = _position(inputs, bucket_key)
    if not 0 <= scenario < inputs.scenario_count:
        raise BadInput.of("scenario", scenario, f"must be 0 to {inputs.scenario_count - 1}, a column of the matrix")
    prepared = prepare_model(inputs)
    block, column = divmod(scenario, BLOCK_SCENARIOS)
    factors, sector = factors_of_block(prepared, MATRIX_STREAMS, block), prepared.sector[position]
    common = factors.common[sector, column : column + 1]
    score = common_scores(common_distribution(prepared.factors.reference, prepared.factors.loading), common)[0]
    model = prepared.companies[position]
    failure = tilted_failure(model.failure_score, score, model.correlation)
    replay = _CompanyReplay(prepared, position, model, block, column, float(common[0]), failure)
    companies = replay.companies(Purpose.MATRIX, prepared.terms.companies_per_bucket)
    mean = _mean(companies)
    recycled = replay.recycled(mean)
    moic = _after_recycling(inputs, prepared, mean, recycled)
    return EntryExplanation(
        bucket=inputs.buckets[position],
        scenario=scenario,
        regime=inputs.regimes[int(factors.regime[column])].name,
        regime_shock=float(factors.shock[column]),
        regime_factor=float(factors.standardized[column]),
        sector_factor=float(factors.sector[sector, column]),
        common=float(common[0]),
        failure_chance=failure,
        calibrated_failure_chance=normal.cdf(model.failure_score),
        companies=companies,
        before_recycling=mean,
        recycled=recycled,
        moic=moic,
        entry=float(np.float32(moic)),
    )


def _position(inputs: SimulationInputs, bucket_key: str) -> int:
    keys = [bucket.key for bucket in inputs.buckets]
    if bucket_key not in keys:
        raise BadInput.of("bucket", bucket_key, f"must be a bucket of the request: {', '.join(keys)}")
    return keys.index(bucket_key)


def _mean(companies: tuple[CompanyExplanation, ...]) -> float:
    total, weight = 0.0, 0.0
    for company in companies:
        total += company.weight * company.moic
        weight += company.weight
    return total / weight


def _after_recycling(
    inputs: SimulationInputs, prepared: PreparedModel, mean: float, recycled: Recycled | None
) -> float:
    if recycled is None:
        return mean
    new = np.array([recycled.mean_moic])
    return float(recycled_multiple(np.array([mean]), new, inputs.recycling, prepared.terms.recycling_cap)[0])


@dataclass(frozen=True, slots=True)
class _CompanyReplay:
    """The companies of one bucket in one scenario."""

    prepared: PreparedModel
    position: int
    model: CompanyModel
    block: int
    column: int
    common: float
    failure: float

    def companies(self, purpose: Purpose, count: int) -> tuple[CompanyExplanation, ...]:
        words = company_words(self.prepared, purpose, block=self.block, position=self.position, company=0, count=count)[
            :, self.column
        ]
        return tuple(self._company(number, draws) for number, draws in enumerate(words, start=1))

    def recycled(self, mean: float) -> Recycled | None:
        terms = self.prepared.inputs.recycling
        if not terms.enabled or terms.max_recycle_deals == 0 or terms.utilization == 0.0 or mean <= 1.0:
            return None
        equal = _CompanyReplay(
            self.prepared,
            self.position,
            self.model._replace(check_sigma=0.0),
            self.block,
            self.column,
            self.common,
            self.failure,
        )
        companies = equal.companies(Purpose.RECYCLED, terms.max_recycle_deals)
        withheld = min(terms.utilization * mean, self.prepared.terms.recycling_cap)
        return Recycled(withheld, terms.cash_multiple, companies, _mean(companies))

    def _company(self, number: int, words: NDArray[np.uint64]) -> CompanyExplanation:
        model, bucket = self.model, self.prepared.inputs.buckets[self.position]
        exits = uniform(words[1]) >= self.failure
        graduated = graduations(model.exit_graduations if exits else model.failure_graduations, uniform(words[2]))
        score = rank_score(model.rank_scores, latent(model, self.common, words[0])) if exits else None
        follow_ons = self._follow_ons(graduated, score)
        multiple = None if score is None else exit_multiple(model, 0, score)
        returned = 0.0 if multiple is None else multiple * float(model.ownership_retained[graduated])
        unspent = model.reserve_ratio - model.tranche * len(follow_ons)
        total = returned
        for tranche in follow_ons:
            total += tranche.returned
        stages = list(Stage)[list(Stage).index(bucket.stage) :]
        return CompanyExplanation(
            number=number,
            # The weight is a lognormal whose mean is exp(sigma^2 / 2); the check's mean is the bucket's.
            check_usd=bucket.initial_check_size * check_weight(model, words[3]) / math.exp(model.check_sigma**2 / 2.0),
            weight=check_weight(model, words[3]),
            exits=exits,
            graduations=graduated,
            last_stage=stages[graduated],
            idiosyncratic_factor=normal.quantile(uniform(words[0])),
            rank=None if score is None else normal.cdf(score),
            exit_multiple=multiple,
            ownership_retained=float(model.ownership_retained[graduated]),
            first_check_returned=returned,
            follow_ons=follow_ons,
            unspent=unspent,
            moic=(total + unspent) / (1.0 + model.reserve_ratio),
        )

    def _follow_ons(self, graduated: int, score: float | None) -> tuple[FollowOn, ...]:
        model, stages = self.model, list(Stage)
        entry = stages.index(self.prepared.inputs.buckets[self.position].stage)
        bought = []
        for j in range(1, min(graduated, model.log_median.size - 1) + 1):
            multiple = 0.0 if score is None else exit_multiple(model, j, score)
            retained = float(model.ownership_retained[graduated - j])
            returned = model.tranche * multiple * retained
            bought.append(FollowOn(stages[entry + j], model.tranche, multiple, retained, returned))
        return tuple(bought)
