"""From what the optimization and the validation computed to the documents of a result, and back from a stored one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.errors import InvalidAllocation
from core.matrix.scenario_set import Expectations
from core.portfolio.conflict import ConflictExplanation
from core.portfolio.dollars import WholeDeals, dollars, whole_deals
from core.portfolio.limits import Limits
from core.portfolio.optimize import Optimum
from core.portfolio.relax import RelaxedBound
from core.portfolio.report import ConstraintStatus
from core.portfolio.strict import StrictFigures
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.result import model
from core.result.model import SCHEMA_VERSION
from core.risk import comparison_portfolios, out_of_sample
from core.risk.bucket_stats import BucketStats
from core.risk.sampling_error import StandardErrors
from core.risk.stress import RegimeOutcome, StressFigures
from core.risk.validate import GeneratedCheck, ValidationMetrics, WholeDealsCheck
from core.stages import Stage


def allocation_of(
    config: NormalizedConfig, weights: FloatArray, expected: Expectations | None = None
) -> tuple[model.Holding, ...]:
    """One holding a bucket, in bucket-key order: weight, dollars that add up to the fund in cents, whole deals.

    expected: of the distribution, where it is known.
    """
    none = [None] * len(config.buckets)
    means = none if expected is None else expected.mean.tolist()
    chances = none if expected is None else expected.win_probability.tolist()
    cents = dollars(weights, config.total_fund_size_usd)
    deals = whole_deals(weights, config)
    return tuple(
        model.Holding(
            bucket_id=bucket.bucket_id,
            stage=bucket.stage.value,
            sector=bucket.sector,
            weight=float(weight),
            dollar_amount=int(amount) / 100,
            deal_count=int(count),
            avg_check_size=bucket.initial_check_usd,
            reserve_ratio=bucket.reserve_ratio,
            all_in_cost_per_deal=bucket.all_in_cost_usd,
            expected_moic=mean,
            win_probability=chance,
        )
        for bucket, weight, amount, count, mean, chance in zip(
            config.buckets, weights, cents, deals.counts, means, chances, strict=True
        )
    )


def holdings_from(stored: Sequence[Any]) -> tuple[model.Holding, ...]:
    """A stored allocation."""
    return tuple(model.Holding.model_validate(entry) for entry in stored)


def weights_from(allocation: Sequence[model.Holding], config: NormalizedConfig) -> FloatArray:
    """The weights of an allocation, shape (B,).

    Raises InvalidAllocation when it is not one of these buckets, or places no capital at all.
    """
    if [holding.bucket_id for holding in allocation] != [bucket.bucket_id for bucket in config.buckets]:
        raise InvalidAllocation("the stored allocation does not list the configured buckets in their order")
    weights = np.array([holding.weight for holding in allocation])
    if not weights.sum() > 0:
        raise InvalidAllocation(f"the stored weights sum to {weights.sum():g}; they must sum to 1")
    return weights


def deals_from(allocation: Sequence[model.Holding], config: NormalizedConfig) -> WholeDeals:
    """What the weights buy. Raises InvalidAllocation when the stored deals say otherwise."""
    deals = whole_deals(weights_from(allocation, config), config)
    if [holding.deal_count for holding in allocation] != deals.counts.tolist():
        raise InvalidAllocation("the stored deals are not those that the stored weights buy")
    return deals


def optimization_of(optimum: Optimum, *, scenario_seconds: float | None = None) -> model.Optimization:
    """Figures, constraint report, relaxations and why they were needed, enforced limits, the audit of the solve.

    scenario_seconds: what drawing the scenarios for the risk took.
    """
    audit = optimum.audit | {"scenarioSeconds": scenario_seconds}
    return model.Optimization(
        schema_version=SCHEMA_VERSION,
        figures=model.SampleFigures(**_figures(optimum.figures), loss_count=optimum.figures.loss_count),
        constraints=tuple(constraint_of(status) for status in optimum.constraints),
        relaxations=tuple(
            _relaxation(bound, explanation)
            for bound, explanation in zip(optimum.relaxations, optimum.explanations, strict=True)
        ),
        conflict=None if optimum.conflict is None else _conflict(optimum.conflict),
        limits=_enforced(optimum.limits),
        solver=model.Solver.model_validate(_finite(audit)),
    )


def limits_from(enforced: model.EnforcedLimits) -> Limits:
    """The limits that a stored optimization enforced."""
    return Limits(
        max_losses=enforced.max_losses,
        cvar_limit=enforced.cvar_limit,
        cvar_confidence=enforced.cvar_confidence,
        min_expected_winners=enforced.min_expected_winners,
        bucket_max_weight=enforced.bucket_max_weight,
        sector_bounds={name: WeightBounds(min=b.min, max=b.max) for name, b in enforced.sector_bounds.items()},
        stage_bounds={Stage(name): WeightBounds(min=b.min, max=b.max) for name, b in enforced.stage_bounds.items()},
    )


def validation_of(metrics: ValidationMetrics) -> model.Validation:
    check = metrics.in_sample
    return model.Validation(
        feasible=check.feasible,
        max_loss_violation=check.max_loss_violation,
        cvar_violation=check.cvar_violation,
        winner_count_violation=check.winner_count_violation,
        budget_violation=check.budget_violation,
        bound_violations=dict(check.bound_violations),
        standard_errors=errors_of(metrics.errors),
        bucket_stats=tuple(bucket_figures_of(bucket) for bucket in metrics.buckets),
        generated=None if metrics.generated is None else _generated(metrics.generated),
        greedy_objective=metrics.greedy.objective,
        greedy_feasible=metrics.greedy.feasible,
        comparison_portfolios=tuple(comparison_of(one) for one in metrics.comparison_portfolios),
        out_of_sample=out_of_sample_of(metrics.out_of_sample),
        whole_deals=_whole_deals(metrics.whole_deals),
    )


def out_of_sample_of(found: out_of_sample.OutOfSample) -> model.OutOfSample:
    return model.OutOfSample(
        scenarios=found.scenarios,
        expected_moic=model.Estimate(
            value=found.mean,
            low=found.mean_interval.low,
            high=found.mean_interval.high,
            standard_error=found.standard_error,
        ),
        optimism_gap=found.optimism_gap,
        loss_probability=_limited(found.loss_probability),
        cvar=_limited(found.cvar),
        expected_winners=_limited(found.expected_winners),
        by_regime=tuple(regime_of(regime) for regime in found.regimes),
    )


def comparison_of(found: comparison_portfolios.ComparisonPortfolio) -> model.ComparisonPortfolio:
    return model.ComparisonPortfolio.model_validate(
        {
            "name": found.name,
            "expected_moic": found.expected_moic,
            "difference": found.difference,
            "standard_error": found.standard_error,
            "within_noise": found.within_noise,
            "required_sample_size": found.required_sample_size,
            "feasible": found.feasible,
            "turnover": found.turnover,
            "risk": None if found.risk is None else _risk_difference(found.risk),
        }
    )


def _risk_difference(found: comparison_portfolios.RiskDifference) -> model.RiskDifference:
    return model.RiskDifference(
        loss_probability=found.loss_probability,
        loss_probability_error=found.loss_error,
        cvar=found.cvar,
        cvar_error=found.cvar_error,
        dominated=found.dominated,
    )


def regime_of(found: RegimeOutcome) -> model.RegimeFigures:
    figures = None if found.figures is None else scenario_figures_of(found.figures)
    return model.RegimeFigures(regime=found.regime, probability=found.probability, figures=figures)


def scenario_figures_of(found: StressFigures) -> model.ScenarioFigures:
    return model.ScenarioFigures(
        scenarios=found.scenarios,
        effective_scenarios=found.effective_scenarios,
        expected_moic=found.expected_moic,
        loss_probability=found.loss_probability,
        cvar=found.cvar,
        expected_winners=found.expected_winners,
        standard_errors=errors_of(found.errors),
    )


def errors_of(errors: StandardErrors) -> model.StandardErrors:
    return model.StandardErrors(
        expected_moic=errors.expected_moic,
        loss_probability=errors.loss_probability,
        cvar=errors.cvar,
        expected_winners=errors.expected_winners,
    )


def bucket_figures_of(bucket: BucketStats) -> model.BucketFigures:
    return model.BucketFigures(
        bucket_id=bucket.bucket_id,
        mean_moic=bucket.mean,
        standard_error=bucket.standard_error,
        median_moic=bucket.median,
        p90_moic=bucket.p90,
        loss_share=bucket.loss_share,
        win_probability=bucket.win_probability,
    )


def figures_of(figures: StrictFigures) -> model.Figures:
    return model.Figures(**_figures(figures))


def _figures(figures: StrictFigures) -> dict[str, float]:
    return {
        "expected_moic": figures.expected_moic,
        "loss_probability": figures.loss_probability,
        "cvar": figures.cvar,
        "expected_winners": figures.expected_winners,
    }


def _limited(check: out_of_sample.LimitCheck) -> model.LimitedEstimate:
    return model.LimitedEstimate(
        value=check.value,
        low=check.interval.low,
        high=check.interval.high,
        standard_error=check.estimate.standard_error,
        limit=check.limit,
        violation=check.violation,
        holds_out_of_sample=check.holds,
        required_sample_size=check.required_sample_size,
    )


def _whole_deals(check: WholeDealsCheck) -> model.WholeDeals:
    return model.WholeDeals(
        deal_count=int(check.deals.counts.sum()),
        uninvested_usd=check.deals.cash_cents / 100,
        in_sample=model.FiguresWithErrors(**_figures(check.in_sample.figures), standard_errors=errors_of(check.errors)),
        bound_violations=dict(check.in_sample.bound_violations),
        out_of_sample=out_of_sample_of(check.out_of_sample),
    )


def _generated(found: GeneratedCheck) -> model.GeneratedScenarios:
    loss = found.loss
    return model.GeneratedScenarios(
        **_figures(found.check.figures),
        standard_errors=errors_of(found.errors),
        feasible=found.check.feasible,
        reduction=model.Reduction(
            generated=loss.generated,
            kept=loss.kept,
            wasserstein=model.WassersteinDistances(
                mean_of_buckets=loss.mean_distance,
                largest_of_buckets=loss.largest_distance,
                largest_bucket=loss.largest_distance_bucket,
                equal_weights=loss.equal_weights_distance,
            ),
            largest_mean_error=loss.largest_mean_error,
        ),
    )


def constraint_of(status: ConstraintStatus) -> model.Constraint:
    price = status.price
    return model.Constraint(
        constraint_id=status.constraint_id,
        type=status.type,
        required=status.required,
        actual=status.actual,
        slack=status.slack,
        satisfied=bool(status.satisfied),
        binding=bool(status.binding),
        relaxed_from=status.relaxed_from,
        tightened_to=status.tightened_to,
        price=None
        if price is None
        else model.ShadowPrice(
            basis=price.basis,
            gain_per_unit=price.gain_per_unit,
            step=price.step,
            gain=price.gain,
            gain_at_least=price.gain_at_least,
            gain_at_most=price.gain_at_most,
        ),
    )


def _relaxation(bound: RelaxedBound, explanation: str) -> model.Relaxation:
    return model.Relaxation(
        constraint_id=bound.constraint_id,
        constraint_type=bound.type,
        direction=bound.direction,
        old_value=bound.old,
        new_value=bound.new,
        violation=bound.class_violation,
        proven_violation=bound.class_proven,
        explanation=explanation,
    )


def _conflict(conflict: ConflictExplanation) -> model.Conflict:
    return model.Conflict(
        constraints=conflict.constraints,
        single_limit_repairs=tuple(
            model.SingleLimitRepair(
                constraint_id=repair.constraint_id,
                asked=repair.asked,
                proven=repair.proven,
                achieved=repair.achieved,
                explanation=sentence,
            )
            for repair, sentence in zip(conflict.single_limit_repairs, conflict.sentences, strict=True)
        ),
    )


def _enforced(limits: Limits) -> model.EnforcedLimits:
    return model.EnforcedLimits(
        max_losses=limits.max_losses,
        cvar_limit=limits.cvar_limit,
        cvar_confidence=limits.cvar_confidence,
        min_expected_winners=limits.min_expected_winners,
        bucket_max_weight=limits.bucket_max_weight,
        sector_bounds={name: model.Bounds(min=b.min, max=b.max) for name, b in limits.sector_bounds.items()},
        stage_bounds={stage.value: model.Bounds(min=b.min, max=b.max) for stage, b in limits.stage_bounds.items()},
    )


def _finite(value: Any) -> Any:
    """JSON has no infinity: a bound that is not known yet is null."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
