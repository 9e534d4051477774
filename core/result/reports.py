"""Reports on the portfolio of a completed session that are printed and not stored: large samples and stress."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import Field

from core.result.build import comparison_of, out_of_sample_of, regime_of, scenario_figures_of
from core.result.model import ComparisonPortfolio, Document, OutOfSample, RegimeFigures, ScenarioFigures
from core.risk.large_sample import LargeSample
from core.risk.stress_report import StressedPortfolio, StressReport


class LargeSampleDocument(Document):
    """The weights, and the whole deals that they buy, in very many scenarios out of sample."""

    session_id: UUID = Field(description="whose portfolio it is")
    scenarios: int = Field(description="how many were drawn")
    weights: OutOfSample = Field(description="in buckets of as many companies as the matrix has")
    whole_deals: OutOfSample = Field(description="as it can be bought")
    comparison_portfolios: tuple[ComparisonPortfolio, ...] = Field(
        alias="rivals", description="equal weights in the same scenarios, unless they are the portfolio"
    )

    @classmethod
    def of(cls, session_id: UUID, found: LargeSample) -> LargeSampleDocument:
        return cls(
            session_id=session_id,
            scenarios=found.scenarios,
            weights=out_of_sample_of(found.weights),
            whole_deals=out_of_sample_of(found.whole_deals),
            comparison_portfolios=tuple(comparison_of(one) for one in found.comparison_portfolios),
        )


class RegimeShare(Document):
    """How often the scenarios are in one macro regime."""

    probability: float = Field(description="in the session")
    share: float | None = Field(description="under the stress; null where none was asked for")


class StressedFigures(Document):
    """One portfolio: as simulated, within each regime, and under the shares that were asked for."""

    as_simulated: ScenarioFigures = Field(description="every scenario weighs the same")
    by_regime: tuple[RegimeFigures, ...] = Field(description="within each macro regime")
    stressed: ScenarioFigures | None = Field(description="under the shares asked for; null where none were")

    @classmethod
    def of(cls, found: StressedPortfolio) -> StressedFigures:
        return cls(
            as_simulated=scenario_figures_of(found.as_simulated),
            by_regime=tuple(regime_of(regime) for regime in found.by_regime),
            stressed=None if found.stressed is None else scenario_figures_of(found.stressed),
        )


class StressDocument(Document):
    session_id: UUID = Field(description="whose portfolio it is")
    scenarios: int = Field(description="how many were drawn")
    regimes: dict[str, RegimeShare] = Field(description="by name")
    weights: StressedFigures = Field(description="in buckets of as many companies as the matrix has")
    whole_deals: StressedFigures = Field(description="as it can be bought")

    @classmethod
    def of(cls, session_id: UUID, found: StressReport) -> StressDocument:
        return cls(
            session_id=session_id,
            scenarios=found.scenarios,
            regimes={
                name: RegimeShare(probability=probability, share=share)
                for name, (probability, share) in found.regimes.items()
            },
            weights=StressedFigures.of(found.weights),
            whole_deals=StressedFigures.of(found.whole_deals),
        )


def rows_of(portfolio: StressedFigures, shares: dict[str, RegimeShare]) -> Sequence[tuple[str, ScenarioFigures | None]]:
    """Labelled, in the order in which people read them."""
    rows: list[tuple[str, ScenarioFigures | None]] = [("as simulated", portfolio.as_simulated)]
    rows += [
        (f"{regime.regime} alone (probability {regime.probability:.4g})", regime.figures)
        for regime in portfolio.by_regime
    ]
    if portfolio.stressed is not None:
        told = ", ".join(f"{name} {one.share:.4g}" for name, one in shares.items())
        rows.append((f"stressed: {told}", portfolio.stressed))
    return rows
