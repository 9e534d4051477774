"""Rates, outcomes and sector multipliers by survival analysis, shrunk towards a reference where samples are small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.aalen_johansen import Incidence, aalen_johansen
from core.calibration.history import History
from core.calibration.outcomes import NO_MULTIPLES, RealizedMultiples, realized_multiples
from core.calibration.round_rates import RoundRates, round_rates
from core.calibration.shrinkage import Multiplier, credibility, prior_rates, shrunk_outcome, shrunk_rates, shrunk_ratio
from core.calibration.snapshot import CalibrationSnapshot, ExitOutcome, StageTransitions
from core.calibration.spells import CAUSES, StageSpells, UndatedAt, silences_broken, stage_spells
from core.errors import BadInput, FieldProblem
from core.stages import Stage

UNDATED_AT: tuple[UndatedAt, ...] = ("earliest", "midpoint", "latest")


@dataclass(frozen=True, slots=True)
class SurvivalTerms:
    """What the user decides. Times in months; dormant_after_months None: silence is never a failure.

    prior_weight: rounds, exits or failures that the reference (for sectors: the stage) counts for.
    Raises BadInput for a value that breaks its rule.
    """

    dormant_after_months: float | None = 48.0
    round_months: float = 18.0
    horizon_months: float = 72.0
    prior_weight: float = 20.0

    def __post_init__(self) -> None:
        silence = self.dormant_after_months
        problems = [
            FieldProblem(field, value, "must be above 0 and finite")
            for field, value in (
                ("dormantAfterMonths", silence),
                ("roundMonths", self.round_months),
                ("horizonMonths", self.horizon_months),
            )
            if value is not None and not (math.isfinite(value) and value > 0)
        ]
        if not (math.isfinite(self.prior_weight) and self.prior_weight >= 0):
            problems.append(FieldProblem("priorWeight", self.prior_weight, "must be 0 or more and finite"))
        if not problems and silence is not None and self.horizon_months <= silence:
            rule = f"must be above dormantAfterMonths ({silence:g}), or no silence could count as a failure"
            problems.append(FieldProblem("horizonMonths", self.horizon_months, rule))
        if problems:
            raise BadInput(problems)


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage. incidence: with undated ends at the midpoint. estimate: per round, before shrinkage; None where no
    time was observed. sensitivity: rates (n_causes,) by where undated ends are put.

    rates: after shrinkage, as all that follows: outcome; sector_rates. credibility: the weight of the history in the
    rates; outcome_credibility: in the outcome.
    """

    spells: StageSpells
    incidence: Incidence
    estimate: RoundRates | None
    sensitivity: Mapping[UndatedAt, FloatArray]
    rates: StageTransitions
    credibility: float
    outcome: ExitOutcome
    exits_with_multiple: int
    outcome_credibility: float
    sector_rates: Mapping[str, StageTransitions]


@dataclass(frozen=True, slots=True)
class SurvivalEstimates:
    """silences_broken: how often a company came back after a silence as long as that which counts as failure."""

    terms: SurvivalTerms
    stages: Mapping[Stage, StageEstimate]
    risk: Mapping[str, Multiplier]
    returns: Mapping[str, Multiplier]
    silences_broken: int | None


def survival_estimates(history: History, terms: SurvivalTerms, reference: CalibrationSnapshot) -> SurvivalEstimates:
    """All that a history tells, by stage and sector.

    Raises BadInput where the reference lacks a stage that the history holds: there would be nothing to shrink to.
    """
    by_stage = stage_spells(history, terms.dormant_after_months)
    _require_in_reference(by_stage, reference)
    realized = realized_multiples(history, _retained_per_graduation(reference))
    stages = {
        stage: estimate
        for stage, spells in by_stage.items()
        if (estimate := _stage_estimate(spells, realized.get(stage, NO_MULTIPLES), terms, reference)) is not None
    }
    sectors = sorted(set(history.companies["sector"].to_list()))
    silence = terms.dormant_after_months
    return SurvivalEstimates(
        terms=terms,
        stages=stages,
        risk=_risk_multipliers(sectors, stages, terms.prior_weight),
        returns=_return_multipliers(sectors, realized, terms.prior_weight),
        silences_broken=None if silence is None else silences_broken(history, silence),
    )


def _retained_per_graduation(reference: CalibrationSnapshot) -> float:
    """The first model takes outcomes as realized; every later one dilutes them itself, by the cap table's terms."""
    if reference.exit_outcomes_fitted_for == "three_component_v1":
        return 1.0
    terms = reference.cap_table
    return (1.0 - terms.dilution_per_round_pct) * (1.0 - terms.option_pool_refresh_pct)


def _require_in_reference(by_stage: Mapping[Stage, StageSpells], reference: CalibrationSnapshot) -> None:
    parts = (
        ("transitions", reference.transition_stats),
        ("exit outcomes", reference.exit_outcomes),
        ("deal terms", reference.deal_terms),
    )
    problems = [
        FieldProblem("reference", reference.version, f"has no {part} for stage {stage}, which the history holds")
        for part, known in parts
        for stage in by_stage
        if stage not in known
    ]
    if problems:
        raise BadInput(problems)


def _stage_estimate(
    spells: StageSpells, realized: RealizedMultiples, terms: SurvivalTerms, reference: CalibrationSnapshot
) -> StageEstimate | None:
    """None where nothing was observed and the prior weighs nothing."""
    incidences = {at: aalen_johansen(spells.months(at), spells.causes, len(CAUSES)) for at in UNDATED_AT}
    found = {
        at: round_rates(incidence, terms.round_months, terms.horizon_months) for at, incidence in incidences.items()
    }
    estimate = found["midpoint"]
    if estimate is None and terms.prior_weight == 0:
        return None
    prior = prior_rates(reference.transition_stats[spells.stage], spells.stage)
    rates = _shrunk(estimate, prior, terms.prior_weight)
    exits = realized.log_multiples.size
    if exits and terms.prior_weight == 0 and np.ptp(realized.log_multiples) == 0:
        rule = f"must be above 0: the {exits} sold stakes of stage {spells.stage} do not differ, and show no spread"
        raise BadInput.of("priorWeight", terms.prior_weight, rule)
    return StageEstimate(
        spells=spells,
        incidence=incidences["midpoint"],
        estimate=estimate,
        sensitivity={at: _shrunk(rates_at, prior, terms.prior_weight) for at, rates_at in found.items()},
        rates=_transitions(rates),
        credibility=credibility(0.0 if estimate is None else estimate.company_rounds, terms.prior_weight),
        outcome=shrunk_outcome(realized.log_multiples, reference.exit_outcomes[spells.stage], terms.prior_weight),
        exits_with_multiple=exits,
        outcome_credibility=credibility(exits, terms.prior_weight),
        sector_rates={
            sector: _transitions(_sector_rates(spells, sector, rates, terms)) for sector in sorted(set(spells.sectors))
        },
    )


def _shrunk(estimate: RoundRates | None, prior: FloatArray, prior_weight: float) -> FloatArray:
    if estimate is None:
        return prior
    return shrunk_rates(estimate.rates, estimate.company_rounds, prior, prior_weight)


def _sector_rates(spells: StageSpells, sector: str, stage_rates: FloatArray, terms: SurvivalTerms) -> FloatArray:
    own = spells.of_sector(sector)
    incidence = aalen_johansen(spells.months("midpoint")[own], spells.causes[own], len(CAUSES))
    estimate = round_rates(incidence, terms.round_months, terms.horizon_months)
    return _shrunk(estimate, stage_rates, terms.prior_weight)


def _transitions(rates: FloatArray) -> StageTransitions:
    graduate, exit_rate, failure = rates.tolist()
    return StageTransitions(exit_rate=exit_rate, graduate_rate=graduate, failure_rate=failure)


def _risk_multipliers(
    sectors: list[str], stages: Mapping[Stage, StageEstimate], prior_weight: float
) -> dict[str, Multiplier]:
    """Failures of a sector's companies against those expected of them at the rates of their stages.

    Expected of a spell is the stage's cumulative hazard of failure over its length (Nelson-Aalen): observed less
    expected is a martingale, whatever the censoring. Source: Andersen et al. (1993), section VII.1 (one-sample test).
    """
    observed, expected = dict.fromkeys(sectors, 0.0), dict.fromkeys(sectors, 0.0)
    failure = CAUSES.index("failure")
    for estimate in stages.values():
        incidence, spells = estimate.incidence, estimate.spells
        hazard = np.concatenate([[0.0], np.cumsum(incidence.events[failure] / incidence.at_risk)])
        of_spell = hazard[np.searchsorted(incidence.times, spells.months("midpoint"), side="right")]
        for sector in set(spells.sectors):
            own = spells.of_sector(sector)
            observed[sector] += float((spells.causes[own] == failure + 1).sum())
            expected[sector] += math.fsum(of_spell[own])
    ratios = {sector: shrunk_ratio(observed[sector], expected[sector], prior_weight) for sector in sectors}
    rule = "must be above 0: no company of sector {} failed, which shows no ratio that could be above 0"
    problems = [
        FieldProblem("priorWeight", prior_weight, rule.format(sector))
        for sector, ratio in ratios.items()
        if ratio.value <= 0
    ]
    if problems:
        raise BadInput(problems)
    return ratios


def _return_multipliers(
    sectors: list[str], realized: Mapping[Stage, RealizedMultiples], prior_weight: float
) -> dict[str, Multiplier]:
    """exp of the mean log multiple of a sector's exits relative to their stages', drawn to 0 on the log scale.

    `observed` is the factor before shrinkage, `expected` 1.
    """
    residuals: dict[str, list[float]] = {sector: [] for sector in sectors}
    for multiples in realized.values():
        centre = math.fsum(multiples.log_multiples) / multiples.log_multiples.size
        for sector, value in zip(multiples.sectors, multiples.log_multiples.tolist(), strict=True):
            residuals[sector].append(value - centre)
    found = {}
    for sector, values in residuals.items():
        own = credibility(len(values), prior_weight)
        mean = math.fsum(values) / len(values) if values else 0.0
        found[sector] = Multiplier(math.exp(own * mean), math.exp(mean), 1.0, own)
    return found
