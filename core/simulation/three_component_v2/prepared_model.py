"""Everything of the model that is the same in all scenarios, made once for a set of inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import ExitOutcome
from core.errors import BadInput
from core.simulation.inputs import BucketParams, CopulaTerms, SimulationInputs
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.company import CompanyModel
from core.simulation.three_component_v2.exit_map import ExitMapper, exit_mapper, exit_scores
from core.simulation.three_component_v2.factors import CommonFactors, common_factors, sectors_of
from core.simulation.three_component_v2.path import PathChances, path_chances
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """companies, sector: by bucket, in key order; sector is the row of its factor."""

    inputs: SimulationInputs
    terms: CopulaTerms
    factors: CommonFactors
    companies: tuple[CompanyModel, ...]
    sector: tuple[int, ...]


def prepare_model(inputs: SimulationInputs) -> PreparedModel:
    """Raises BadInput for parameters that this model cannot have."""
    terms = copula_of(inputs)
    factors = common_factors(inputs, terms)
    mapper, maps = exit_mapper(factors), dict[tuple[Stage, float], tuple[PathChances, FloatArray]]()
    # Without common factors nothing could tilt failures.
    correlation = terms.transition_correlation if factors.loading.sector > 0.0 else 0.0
    companies = []
    for bucket in inputs.buckets:
        kind = bucket.stage, bucket.sector_risk_multiplier
        if kind not in maps:
            maps[kind] = _path_and_map(inputs, kind, mapper, correlation)
        companies.append(
            _company_model(
                inputs,
                bucket,
                *maps[kind],
                idiosyncratic_loading=factors.loading.idiosyncratic,
                correlation=correlation,
            )
        )
    sectors = sectors_of(inputs)
    return PreparedModel(
        inputs=inputs,
        terms=terms,
        factors=factors,
        companies=tuple(companies),
        sector=tuple(sectors.index(bucket.sector) for bucket in inputs.buckets),
    )


def copula_of(inputs: SimulationInputs) -> CopulaTerms:
    if inputs.copula is None:
        raise BadInput.of("policy_params.copula", None, "must be there for three_component_v2")
    if not 0.0 <= inputs.copula.transition_correlation < 1.0:
        rule = "must be at least 0 and below 1"
        raise BadInput.of("transition_correlation", inputs.copula.transition_correlation, rule)
    return inputs.copula


def _path_and_map(
    inputs: SimulationInputs, kind: tuple[Stage, float], mapper: ExitMapper, correlation: float
) -> tuple[PathChances, FloatArray]:
    chances = path_chances(kind[0], inputs.transitions, kind[1], inputs.max_rounds)
    return chances, exit_scores(mapper, normal.quantile(chances.failure), correlation)


def _company_model(
    inputs: SimulationInputs,
    bucket: BucketParams,
    chances: PathChances,
    rank_scores: FloatArray,
    *,
    idiosyncratic_loading: float,
    correlation: float,
) -> CompanyModel:
    cap_table = inputs.cap_table
    retained_per_round = (1.0 - cap_table.dilution_per_round_pct) * (1.0 - cap_table.option_pool_refresh_pct)
    outcomes = [(bucket.median_moic, bucket.p90_moic), *_follow_on_outcomes(inputs, bucket)]
    medians, p90s = (np.log(column) for column in np.array(outcomes).T)
    tranches = len(outcomes) - 1
    deployable = cap_table.pro_rata_participation_rate * bucket.reserve_ratio
    shift = math.log(bucket.sector_return_multiplier)
    sigma = (p90s - medians) / normal.QUANTILE_90
    return CompanyModel(
        idiosyncratic_loading=idiosyncratic_loading,
        correlation=correlation,
        failure_score=normal.quantile(chances.failure),
        exit_graduations=chances.graduations_of_exits,
        failure_graduations=chances.graduations_of_failures,
        rank_scores=rank_scores,
        log_median=medians + shift,
        sigma=sigma,
        log_p90=p90s + shift,
        tail=sigma * 0.1 / normal.DENSITY_90,
        log_cap=math.log(_cap_above(inputs, bucket, outcomes)),
        ownership_retained=np.array([retained_per_round**j for j in range(len(chances.exits))]),
        tranche=deployable / tranches if tranches else 0.0,
        reserve_ratio=bucket.reserve_ratio,
        check_sigma=math.sqrt(math.log1p(bucket.check_size_cv**2)),
        winner_multiple=inputs.winner_multiple,
    )


def _follow_on_outcomes(inputs: SimulationInputs, bucket: BucketParams) -> list[tuple[float, float]]:
    """(median, p90) of the stages in which the reserves are spent, equal tranches, one at each graduation."""
    if bucket.reserve_ratio == 0.0:
        return []
    if not bucket.rounds_to_exit.is_integer():
        raise BadInput.of(f"{bucket.key}.rounds_to_exit", bucket.rounds_to_exit, "must be a whole number of rounds")
    later = list(Stage)[list(Stage).index(bucket.stage) + 1 :][: int(bucket.rounds_to_exit)]
    return [(outcome.median_moic, outcome.p90_moic) for outcome in (_outcome(inputs, stage) for stage in later)]


def _outcome(inputs: SimulationInputs, stage: Stage) -> ExitOutcome:
    if stage not in inputs.exit_outcomes:
        raise BadInput.of("exit_outcomes", str(stage), "is missing, though reserves are spent in this stage")
    return inputs.exit_outcomes[stage]


def _cap_above(inputs: SimulationInputs, bucket: BucketParams, outcomes: list[tuple[float, float]]) -> float:
    """The cap, which must lie above every 90th percentile, or the percentile would not be what was calibrated."""
    cap = copula_of(inputs).outcome_cap
    largest = max(p90 for _, p90 in outcomes) * bucket.sector_return_multiplier
    if largest >= cap:
        rule = f"must exceed the 90th percentile times the return multiplier of {bucket.key} ({largest:g})"
        raise BadInput.of("outcome_cap", cap, rule)
    return cap
