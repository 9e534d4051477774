"""Scenarios block by block: any of them alone, in any order, the same bytes however they are divided.

The numbers of a block come from streams that belong to its position alone. A bucket's companies are one stream, the
i-th company a fixed stretch of it: neither the number of scenarios nor the number of companies, of this bucket or
another, changes a number that is drawn in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray, IntArray
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.simulation.inputs import Recycling
from core.simulation.philox import Purpose, raw_words
from core.simulation.three_component_v2.company import (
    WORDS_PER_COMPANY,
    CompanyModel,
    add_companies,
    failure_chances,
)
from core.simulation.three_component_v2.factors import ScenarioFactors, common_distribution, common_scores, draw_factors
from core.simulation.three_component_v2.prepared_model import PreparedModel

COMPANIES_AT_ONCE = 32
"""Bounds memory; changes no result."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The random streams that scenarios are drawn from, and those of the companies bought by recycling."""

    scenarios: Purpose
    recycled: Purpose


MATRIX_STREAMS = Streams(Purpose.MATRIX, Purpose.RECYCLED)
OUT_OF_SAMPLE_STREAMS = Streams(Purpose.OUT_OF_SAMPLE, Purpose.OUT_OF_SAMPLE_RECYCLED)
STREAMS_OF = {
    Purpose.OUT_OF_SAMPLE: OUT_OF_SAMPLE_STREAMS,
    Purpose.RISK: Streams(Purpose.RISK, Purpose.RISK_RECYCLED),
    Purpose.TIGHTENING: Streams(Purpose.TIGHTENING, Purpose.TIGHTENING_RECYCLED),
}
"""Of scenarios that are not the matrix's."""


@dataclass(frozen=True, slots=True)
class DrawnScenarios:
    """A window's scenarios. moic: (n_buckets, n); winners: (n_buckets,), companies; factors: of the whole block."""

    moic: FloatArray
    winners: IntArray
    factors: ScenarioFactors


class Window(NamedTuple):
    """Scenarios first to last of a block, counted within it."""

    block: int
    first: int
    last: int

    @property
    def scenarios(self) -> slice:
        return slice(self.first, self.last)


def windows(start: int, stop: int) -> Iterator[Window]:
    """The scenarios start to stop, block by block."""
    for block in range(start // BLOCK_SCENARIOS, -(-stop // BLOCK_SCENARIOS)):
        offset = block * BLOCK_SCENARIOS
        yield Window(block, max(start - offset, 0), min(stop - offset, BLOCK_SCENARIOS))


def draw_scenarios(prepared: PreparedModel, streams: Streams, window: Window, companies: IntArray) -> DrawnScenarios:
    """The scenarios of a window with `companies[b]` companies in bucket b; none at all give 0."""
    factors = factors_of_block(prepared, streams, window.block)
    common_of_sector = factors.common[:, window.scenarios]
    distribution_of_common = common_distribution(prepared.factors.reference, prepared.factors.loading)
    scores = [common_scores(distribution_of_common, common) for common in common_of_sector]
    moic = np.zeros((len(prepared.companies), window.last - window.first))
    winners = np.zeros(len(prepared.companies), dtype=np.int64)
    for position, (model, sector) in enumerate(zip(prepared.companies, prepared.sector, strict=True)):
        if companies[position] == 0:
            continue
        failure = failure_chances(model, scores[sector])
        bucket = _Bucket(prepared, position, window, common_of_sector[sector], failure)
        moic[position], winners[position] = bucket.mean(model, streams.scenarios, int(companies[position]))
        if prepared.inputs.recycling.enabled:
            moic[position] = bucket.recycled(moic[position], streams.recycled)
    return DrawnScenarios(moic, winners, factors)


def factors_of_block(prepared: PreparedModel, streams: Streams, block: int) -> ScenarioFactors:
    return draw_factors(prepared.inputs, prepared.factors, streams.scenarios, block)


def company_words(
    prepared: PreparedModel, purpose: Purpose, *, block: int, position: int, company: int, count: int
) -> NDArray[np.uint64]:
    """The draws of `count` companies of a bucket from `company` on: (count, BLOCK_SCENARIOS, WORDS_PER_COMPANY)."""
    n_words = count * BLOCK_SCENARIOS * WORDS_PER_COMPANY
    words = raw_words(
        prepared.inputs.matrix_key, purpose, block, position + 1, count=n_words, skip=company * BLOCK_SCENARIOS
    )
    return words.reshape(count, BLOCK_SCENARIOS, WORDS_PER_COMPANY)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """One bucket in the scenarios of a window. common, failure: (n,), T and the chance to fail."""

    prepared: PreparedModel
    position: int
    window: Window
    common: FloatArray
    failure: FloatArray

    def mean(self, model: CompanyModel, purpose: Purpose, companies: int) -> tuple[FloatArray, int]:
        """Mean multiple weighted by check size, (n,), and the number of winners."""
        sums, winners = np.zeros((2, self.common.size)), 0
        for company in range(0, companies, COMPANIES_AT_ONCE):
            count = min(COMPANIES_AT_ONCE, companies - company)
            words = company_words(
                self.prepared, purpose, block=self.window.block, position=self.position, company=company, count=count
            )
            winners += add_companies(model, words, self.window.first, self.failure, self.common, sums)
        return sums[0] / sums[1], winners

    def recycled(self, moic: FloatArray, purpose: Purpose) -> FloatArray:
        """The multiple after a part of the proceeds went into new companies; the capital is conserved."""
        terms = self.prepared.inputs.recycling
        if terms.max_recycle_deals == 0 or terms.utilization == 0.0:
            return moic
        # The deals are equal parts of the proceeds, whatever the bucket's checks are.
        model = self.prepared.companies[self.position]._replace(check_sigma=0.0)
        new, _ = self.mean(model, purpose, terms.max_recycle_deals)
        return recycled_multiple(moic, new, terms, self.prepared.terms.recycling_cap)


def recycled_multiple(moic: FloatArray, new: FloatArray, terms: Recycling, cap: float) -> FloatArray:
    """m - r + r * cash_multiple * new, where r = min(utilization * m, cap) of a winner is withheld and re-invested.

    moic, new: (n,), the bucket's multiple and the mean of the companies bought. cap: fraction of allocated capital.
    """
    withheld = np.where(moic > 1.0, np.minimum(terms.utilization * moic, cap), 0.0)
    multiple: FloatArray = moic - withheld + withheld * terms.cash_multiple * new
    return multiple
