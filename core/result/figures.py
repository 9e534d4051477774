"""Figures of a portfolio: on the matrix, out of sample, within a state of the economy, beside simpler portfolios."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.result.document import Document

Holds = Literal["yes", "no", "within_error"]


class StandardErrors(Document):
    """Of the four figures, each in its own unit; null where a single scenario tells nothing of its error."""

    expected_moic: float | None = Field(default=None, description="in multiples")
    loss_probability: float | None = Field(default=None, description="as a fraction")
    cvar: float | None = Field(default=None, description="as a fraction of the capital")
    expected_winners: float | None = Field(default=None, description="in companies")


class Figures(Document):
    """The four figures of a portfolio in some scenarios."""

    expected_moic: float = Field(description="mean multiple")
    loss_probability: float = Field(description="share of scenarios with a multiple below 1")
    cvar: float = Field(description="mean loss in the worst scenarios, fraction of the capital")
    expected_winners: float = Field(description="companies that return the winner multiple or more, on average")


class SampleFigures(Figures):
    """On the matrix. lossCount: how many of its scenarios lose money."""

    loss_count: int = Field(description="scenarios of the matrix that lose money")


class FiguresWithErrors(Figures):
    standard_errors: StandardErrors = Field(default=StandardErrors(), description="of the figures")


class ScenarioFigures(FiguresWithErrors):
    """In so many scenarios. effectiveScenarios: as many equally weighted ones would know the mean as well."""

    scenarios: int = Field(description="how many carry any weight")
    effective_scenarios: float | None = Field(
        default=None, description="as many equally weighted ones would know the mean as well"
    )


class Estimate(Document):
    """A figure out of sample with its 95% interval, low to high."""

    value: float = Field(description="of the figure")
    low: float = Field(description="lower end of the 95% interval")
    high: float = Field(description="upper end of the 95% interval")
    standard_error: float | None = Field(default=None, description="of the value")


class LimitedEstimate(Estimate):
    """An estimate beside the limit as enforced."""

    limit: float | None = Field(default=None, description="as enforced")
    violation: float = Field(default=0.0, description="by how much the value breaks it, 0 where it does not")
    holds_out_of_sample: Holds | None = Field(
        default=None, description="yes or no where the whole interval lies on one side of the limit"
    )
    required_sample_size: int | None = Field(
        default=None,
        alias="scenariosToSettle",
        description="how many scenarios would tell, where it is within the error",
    )


class RegimeFigures(Document):
    """The figures in the scenarios of one macro regime; null where none was drawn."""

    regime: str = Field(description="name of the state of the economy")
    probability: float = Field(description="of the regime")
    figures: ScenarioFigures | None = Field(description="within it; null where none of its scenarios was drawn")


class OutOfSample(Document):
    """The portfolio in scenarios that it was not chosen on."""

    scenarios: int = Field(description="how many")
    expected_moic: Estimate = Field(description="mean multiple")
    optimism_gap: float = Field(description="expected MOIC on the matrix less that out of sample")
    loss_probability: LimitedEstimate = Field(description="share of scenarios with a multiple below 1")
    cvar: LimitedEstimate = Field(description="mean loss in the worst scenarios, fraction of the capital")
    expected_winners: LimitedEstimate = Field(
        description="companies that return the winner multiple or more, on average"
    )
    by_regime: tuple[RegimeFigures, ...] = Field(default=(), description="the figures within each state of the economy")


class WholeDeals(Document):
    """The portfolio as it can be bought: whole deals, and the cash that is left.

    boundViolations: by how much each bound, as enforced, is overstepped; constraint id to fraction of the fund.
    """

    deal_count: int = Field(description="of all buckets")
    uninvested_usd: float = Field(description="cash that buys no whole deal")
    in_sample: FiguresWithErrors = Field(description="on the matrix")
    bound_violations: dict[str, float] = Field(
        description="constraint id to the fraction of the fund by which the bound as enforced is overstepped"
    )
    out_of_sample: OutOfSample = Field(description="on scenarios that the portfolio was not chosen on")


ComparisonName = Literal["equal_weights", "greedy", "same_stages_even_sectors", "other_seed_1", "other_seed_2"]


class RiskDifference(Document):
    """The answer's risk less that of another portfolio, scenario by scenario out of sample."""

    loss_probability: float = Field(description="as a fraction")
    loss_probability_error: float = Field(description="its standard error")
    cvar: float = Field(description="as a fraction of the capital")
    cvar_error: float = Field(description="its standard error")
    dominated: bool = Field(
        description="whether the other has no smaller expectation and both risks lower by two standard errors"
    )


class ComparisonPortfolio(Document):
    """Another portfolio in the same scenarios out of sample. difference: answer less this one, in multiples."""

    name: ComparisonName = Field(
        description="which one: equal weights, the greedy portfolio, the answer's stages even over sectors, or the "
        "answer to the same request under another seed"
    )
    expected_moic: float | Estimate = Field(description="its mean multiple in the same scenarios")
    difference: float = Field(description="the answer's expected MOIC less its own")
    standard_error: float | None = Field(description="of the difference, scenario by scenario")
    within_noise: bool = Field(description="whether the difference is at most one standard error")
    required_sample_size: int | None = Field(
        default=None, alias="scenariosToSettle", description="how many scenarios would show such a difference"
    )
    feasible: bool = Field(description="whether it keeps every limit on the scenarios that the answer was chosen on")
    turnover: float | None = Field(
        default=None, description="fraction of the capital that lies elsewhere: half the sum of differences of weights"
    )
    risk: RiskDifference | None = Field(default=None, description="how its risk differs; null where not compared")

    @property
    def mean(self) -> float:
        return self.expected_moic.value if isinstance(self.expected_moic, Estimate) else self.expected_moic

    @property
    def outperforms(self) -> bool:
        """Whether it keeps every limit and is shown to be better than the answer."""
        return self.feasible and not self.within_noise and self.difference < 0

    @property
    def dominates(self) -> bool:
        """Whether it keeps every limit, expects no less and is shown to risk less."""
        return self.feasible and self.risk is not None and self.risk.dominated


class BucketFigures(Document):
    """One bucket alone on the matrix."""

    bucket_id: str = Field(description="stage and sector")
    mean_moic: float = Field(description="mean multiple, by the distribution where that is known")
    standard_error: float | None = Field(description="of the mean; null for a single scenario")
    median_moic: float = Field(description="median multiple")
    p90_moic: float = Field(alias="p90Moic", description="90% of scenarios return less")
    loss_share: float = Field(description="share of scenarios with a multiple below 1")
    win_probability: float = Field(description="that a deal returns the winner multiple or more")


class WassersteinDistances(Document):
    mean_of_buckets: float = Field(description="over all buckets")
    largest_of_buckets: float = Field(description="of the worst bucket")
    largest_bucket: str = Field(description="which that is")
    equal_weights: float = Field(description="of the portfolio of equal weights")


class Reduction(Document):
    """What choosing some of the generated scenarios lost, in multiples."""

    generated: int = Field(description="scenarios that were simulated")
    kept: int = Field(description="scenarios in the matrix")
    wasserstein: WassersteinDistances = Field(description="distances between the distributions before and after")
    largest_mean_error: float = Field(description="largest change of a bucket's mean")


class GeneratedScenarios(FiguresWithErrors):
    """The weights on all scenarios that were generated, of which the matrix has a choice."""

    feasible: bool = Field(description="whether the weights keep every limit on all of them")
    reduction: Reduction = Field(description="what the choice of scenarios lost")
