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
from core.simulation.inputs import BucketParams, SimulationInputs
from core.simulation.parts import BLOCK_SCENARIOS
from core.simulation.philox import Purpose
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.blocks import MATRIX_NUMBERS, company_words, recycled_multiple, worlds_of
from core.simulation.three_component_v2.company import (
    CompanyModel,
    check_weight,
    exit_multiple,
    latent,
    uniform,
)
from core.simulation.three_component_v2.exit_map import rank_score
from core.simulation.three_component_v2.factors import common_law, common_scores
from core.simulation.three_component_v2.laws import Laws, laws_of
from core.simulation.three_component_v2.path import graduations, tilted_failure
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class FollowOn:
    """A tranche of reserves: spent at a graduation into `stage`. Amounts per dollar of the first check.

    multiple: before dilution; kept: what later rounds leave of the stake; returned: 0 where the company fails.
    """

    stage: Stage
    invested: float
    multiple: float
    kept: float
    returned: float


@dataclass(frozen=True, slots=True)
class CompanyStory:
    """One company of the bucket. Multiples on the first check but for `moic`, which is on the allocated capital.

    own_factor: standard normal. rank: among the exits, in (0, 1); None for a failure, which has no multiple either.
    kept: what dilution leaves of the first check's stake. unspent: reserves that come back at 1x.
    """

    number: int
    check_usd: float
    weight: float
    exits: bool
    graduations: int
    last_stage: Stage
    own_factor: float
    rank: float | None
    exit_multiple: float | None
    kept: float
    first_check_returned: float
    follow_ons: tuple[FollowOn, ...]
    unspent: float
    moic: float


@dataclass(frozen=True, slots=True)
class Recycled:
    """withheld: of the multiple, and put into the companies, equal parts, times the cash multiple."""

    withheld: float
    cash_multiple: float
    companies: tuple[CompanyStory, ...]
    mean_moic: float


@dataclass(frozen=True, slots=True)
class EntryStory:
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
    companies: tuple[CompanyStory, ...]
    before_recycling: float
    recycled: Recycled | None
    moic: float
    entry: float


def explain(inputs: SimulationInputs, bucket_key: str, scenario: int) -> EntryStory:
    """Raises BadInput for a bucket or a scenario that the matrix does not have."""
    position = _position(inputs, bucket_key)
    if not 0 <= scenario < inputs.scenario_count:
        raise BadInput.of("scenario", scenario, f"must be 0 to {inputs.scenario_count - 1}, a column of the matrix")
    laws = laws_of(inputs)
    block, column = divmod(scenario, BLOCK_SCENARIOS)
    worlds, sector = worlds_of(laws, MATRIX_NUMBERS, block), laws.sector[position]
    common = worlds.common[sector, column : column + 1]
    score = common_scores(common_law(laws.factors.world, laws.factors.loading), common)[0]
    law = laws.company[position]
    failure = tilted_failure(law.failure_score, score, law.correlation)
    teller = _Teller(laws, position, law, block, column, float(common[0]), failure)
    companies = teller.stories(Purpose.MATRIX, laws.terms.companies_per_bucket)
    mean = _mean(companies)
    recycled = teller.recycled(mean)
    moic = _after_recycling(inputs, laws, mean, recycled)
    return EntryStory(
        bucket=inputs.buckets[position],
        scenario=scenario,
        regime=inputs.regimes[int(worlds.regime[column])].name,
        regime_shock=float(worlds.shock[column]),
        regime_factor=float(worlds.standardized[column]),
        sector_factor=float(worlds.sector[sector, column]),
        common=float(common[0]),
        failure_chance=failure,
        calibrated_failure_chance=normal.cdf(law.failure_score),
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


def _mean(companies: tuple[CompanyStory, ...]) -> float:
    total, weight = 0.0, 0.0
    for company in companies:
        total += company.weight * company.moic
        weight += company.weight
    return total / weight


def _after_recycling(inputs: SimulationInputs, laws: Laws, mean: float, recycled: Recycled | None) -> float:
    if recycled is None:
        return mean
    new = np.array([recycled.mean_moic])
    return float(recycled_multiple(np.array([mean]), new, inputs.recycling, laws.terms.recycling_cap)[0])


@dataclass(frozen=True, slots=True)
class _Teller:
    """The companies of one bucket in one scenario."""

    laws: Laws
    position: int
    law: CompanyModel
    block: int
    column: int
    common: float
    failure: float

    def stories(self, purpose: Purpose, count: int) -> tuple[CompanyStory, ...]:
        words = company_words(self.laws, purpose, block=self.block, position=self.position, company=0, count=count)[
            :, self.column
        ]
        return tuple(self._story(number, own) for number, own in enumerate(words, start=1))

    def recycled(self, mean: float) -> Recycled | None:
        terms = self.laws.inputs.recycling
        if not terms.enabled or terms.max_recycle_deals == 0 or terms.utilization == 0.0 or mean <= 1.0:
            return None
        equal = _Teller(
            self.laws,
            self.position,
            self.law._replace(check_sigma=0.0),
            self.block,
            self.column,
            self.common,
            self.failure,
        )
        companies = equal.stories(Purpose.RECYCLED, terms.max_recycle_deals)
        withheld = min(terms.utilization * mean, self.laws.terms.recycling_cap)
        return Recycled(withheld, terms.cash_multiple, companies, _mean(companies))

    def _story(self, number: int, words: NDArray[np.uint64]) -> CompanyStory:
        law, bucket = self.law, self.laws.inputs.buckets[self.position]
        exits = uniform(words[1]) >= self.failure
        graduated = graduations(law.exit_graduations if exits else law.failure_graduations, uniform(words[2]))
        score = rank_score(law.rank_scores, latent(law, self.common, words[0])) if exits else None
        follow_ons = self._follow_ons(graduated, score)
        multiple = None if score is None else exit_multiple(law, 0, score)
        returned = 0.0 if multiple is None else multiple * float(law.kept[graduated])
        unspent = law.reserve_ratio - law.tranche * len(follow_ons)
        total = returned
        for tranche in follow_ons:
            total += tranche.returned
        stages = list(Stage)[list(Stage).index(bucket.stage) :]
        return CompanyStory(
            number=number,
            # The weight is a lognormal whose mean is exp(sigma^2 / 2); the check's mean is the bucket's.
            check_usd=bucket.initial_check_size * check_weight(law, words[3]) / math.exp(law.check_sigma**2 / 2.0),
            weight=check_weight(law, words[3]),
            exits=exits,
            graduations=graduated,
            last_stage=stages[graduated],
            own_factor=normal.quantile(uniform(words[0])),
            rank=None if score is None else normal.cdf(score),
            exit_multiple=multiple,
            kept=float(law.kept[graduated]),
            first_check_returned=returned,
            follow_ons=follow_ons,
            unspent=unspent,
            moic=(total + unspent) / (1.0 + law.reserve_ratio),
        )

    def _follow_ons(self, graduated: int, score: float | None) -> tuple[FollowOn, ...]:
        law, stages = self.law, list(Stage)
        entry = stages.index(self.laws.inputs.buckets[self.position].stage)
        told = []
        for j in range(1, min(graduated, law.log_median.size - 1) + 1):
            multiple = 0.0 if score is None else exit_multiple(law, j, score)
            kept = float(law.kept[graduated - j])
            told.append(FollowOn(stages[entry + j], law.tranche, multiple, kept, law.tranche * multiple * kept))
        return tuple(told)
