"""The canonical matrix key: one document of all that moves a matrix, one name for each document.

    {"key": {...}, "bucket_params": [...], "policy_params": {...}}

`key` is what is hashed into the matrix key; it holds the hashes of the other two. The simulation reads the rounded
numbers of this document and nothing else, so that one key has one result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from core.calibration.snapshot import CapTableTerms, DealTerms, ExitOutcome, SectorMultipliers, StageTransitions
from core.canonical import DECIMALS, canonical_json, round6, sha256_hex
from core.errors import CorruptMatrix
from core.simulation.inputs import BucketParams, CopulaTerms, Recycling, Regime, SimulationInputs
from core.stages import Stage

KEY_SCHEMA_VERSION = "v1.2"
REDUCTION_VERSION = "discrepancy_v1"
"""How scenarios are chosen; what changes a choice is a new version."""

KEY_PREFIX = f"matrix_{KEY_SCHEMA_VERSION}_"

NO_RECYCLING = Recycling(enabled=False, utilization=0.0, cash_multiple=1.0, max_recycle_deals=0)

_BUCKET_FIELDS = tuple(field.name for field in fields(BucketParams))

_COPULA_KEYS = {"idiosyncratic_share": "own_share"}
"""Names in the document where they differ from those of the fields; a name is part of the key."""

_MILLION = 1_000_000
"""Sums that must stay exact are taken in whole millionths: six decimals."""


@dataclass(frozen=True, slots=True)
class MatrixParameters:
    """All that moves a matrix, resolved and valid but not yet rounded; may hold stages that no bucket can reach.

    regimes: probabilities sum to 1 within 1e-6; correlation: sorted sectors and exactly symmetric rows, or None.
    generated_scenarios: from how many the scenario_count are chosen; None: they are all that is generated.
    copula: None for a model that does not read it, whose key must not depend on it.
    """

    fund_id: UUID
    taxonomy_version: str
    sim_model_version: str
    calibration_version: str
    scenario_count: int
    generated_scenarios: int | None
    buckets: Sequence[BucketParams]
    transitions: Mapping[Stage, StageTransitions]
    exit_outcomes: Mapping[Stage, ExitOutcome]
    deal_terms: Mapping[Stage, DealTerms]
    cap_table: CapTableTerms
    sector_multipliers: Mapping[str, SectorMultipliers]
    regimes: Sequence[Regime]
    correlation: tuple[Sequence[str], Sequence[Sequence[float]]] | None
    recycling: Recycling
    max_rounds: int
    winner_multiple: float
    copula: CopulaTerms | None


def reachable_stages(
    starts: Iterable[Stage], transitions: Mapping[Stage, StageTransitions], max_rounds: int
) -> list[Stage]:
    """The stages that a company starting in one of `starts` can be in during a round, in stage order."""
    reached: set[Stage] = set()
    for start in starts:
        stage: Stage | None = start
        for _ in range(max_rounds):
            if stage is None:
                break
            reached.add(stage)
            graduates = stage in transitions and _transition_rates(transitions[stage])["graduate_rate"] > 0
            stage = stage.next if graduates else None
    return [stage for stage in Stage if stage in reached]


def key_document(parameters: MatrixParameters) -> dict[str, Any]:
    """The canonical document: every float at six decimals, only stages and sectors that the buckets can be in."""
    in_key_order = sorted(parameters.buckets, key=lambda bucket: bucket.key)
    bucket_params = [_bucket_params(bucket) for bucket in in_key_order]
    policy_params = _policy_params(parameters)
    key = {
        "key_schema_version": KEY_SCHEMA_VERSION,
        "fund_id": str(parameters.fund_id),
        "taxonomy_version": parameters.taxonomy_version,
        "bucket_params_hash": sha256_hex(canonical_json(bucket_params)),
        "policy_params_hash": sha256_hex(canonical_json(policy_params)),
        "scenario_count": parameters.scenario_count,
        "sim_model_version": parameters.sim_model_version,
        "calibration_version": parameters.calibration_version,
    }
    if parameters.generated_scenarios is not None:  # else the key is what it was before there was a choice
        key |= {"generated_scenarios": parameters.generated_scenarios, "reduction_version": REDUCTION_VERSION}
    return {"key": key, "bucket_params": bucket_params, "policy_params": policy_params}


def matrix_key(document: Mapping[str, Any]) -> str:
    """`matrix_v1.2_` and the 64 hexadecimal digits of the sha256 of the document's `key` in RFC 8785 form."""
    return KEY_PREFIX + sha256_hex(canonical_json(document["key"]))


def simulation_inputs(document: Mapping[str, Any]) -> SimulationInputs:
    """What the scenario models read, taken from a stored key document alone: all scenarios that are generated.

    Raises `CorruptMatrix` when the parameters are not those that the key was made from.
    """
    try:
        key, buckets, policy = document["key"], document["bucket_params"], document["policy_params"]
        hashes = key["bucket_params_hash"], key["policy_params_hash"]
        schema = key["key_schema_version"]
    except (KeyError, TypeError) as error:
        raise CorruptMatrix(f"matrix key document is incomplete: {error!r}") from error
    if schema != KEY_SCHEMA_VERSION:
        raise CorruptMatrix(f"matrix key document has key_schema_version {schema!r}; known is {KEY_SCHEMA_VERSION!r}")
    for name, part, recorded in zip(("bucket_params", "policy_params"), (buckets, policy), hashes, strict=True):
        found = sha256_hex(canonical_json(part))
        if found != recorded:
            raise CorruptMatrix(f"matrix key document: {name} hash to {found}, but the key says {recorded}")
    return SimulationInputs(
        matrix_key=matrix_key(document),
        scenario_count=int(key.get("generated_scenarios", key["scenario_count"])),
        buckets=tuple(_bucket(bucket) for bucket in buckets),
        transitions=_transitions(policy),
        exit_outcomes=_exit_outcomes(policy),
        regimes=_regimes(policy["scenario_gen_config"]),
        recycling=_recycling(policy["recycling"]),
        cap_table=CapTableTerms(**{name: policy[name] for name in CapTableTerms.model_fields}),
        max_rounds=int(policy["max_rounds"]),
        winner_multiple=float(policy["winner_multiple"]),
        correlation=_correlation(policy["scenario_gen_config"]["correlation"]),
        copula=_copula(policy.get("copula")),
    )


def _bucket_params(bucket: BucketParams) -> dict[str, Any]:
    params = {name: getattr(bucket, name) for name in _BUCKET_FIELDS}
    rounded: dict[str, Any] = round6(params | {"stage": str(bucket.stage)})
    return rounded


def _policy_params(parameters: MatrixParameters) -> dict[str, Any]:
    starts = {bucket.stage for bucket in parameters.buckets}
    reachable = reachable_stages(starts, parameters.transitions, parameters.max_rounds)
    rates = {str(stage): _transition_rates(parameters.transitions[stage]) for stage in reachable}
    outcomes = {stage: parameters.exit_outcomes[stage] for stage in reachable if stage in parameters.exit_outcomes}
    terms = {stage: parameters.deal_terms[stage] for stage in reachable if stage in parameters.deal_terms}
    sectors = sorted({bucket.sector for bucket in parameters.buckets})
    multipliers = {sector: parameters.sector_multipliers[sector] for sector in sectors}
    rounded: dict[str, Any] = round6(
        {
            "exit_rate_by_stage": {stage: rate["exit_rate"] for stage, rate in rates.items()},
            "graduate_rate_by_stage": {stage: rate["graduate_rate"] for stage, rate in rates.items()},
            "failure_rate_by_stage": {stage: rate["failure_rate"] for stage, rate in rates.items()},
            "survival_matrix_version": parameters.calibration_version,
            "exit_moic_median_by_stage": {str(stage): outcome.median_moic for stage, outcome in outcomes.items()},
            "exit_moic_p90_by_stage": {str(stage): outcome.p90_moic for stage, outcome in outcomes.items()},
            "reserve_ratio_by_stage": {str(stage): term.reserve_ratio for stage, term in terms.items()},
            "initial_check_size_by_stage": {str(stage): term.initial_check_size for stage, term in terms.items()},
            "check_size_cv_by_stage": {str(stage): term.check_size_cv for stage, term in terms.items()},
            "rounds_to_exit_by_stage": {str(stage): term.rounds_to_exit for stage, term in terms.items()},
            **parameters.cap_table.model_dump(),
            "sector_risk_multipliers": {sector: multiplier.risk for sector, multiplier in multipliers.items()},
            "sector_return_multipliers": {sector: multiplier.returns for sector, multiplier in multipliers.items()},
            # Recycling that is off is one configuration, whatever its numbers say.
            "recycling": asdict(parameters.recycling if parameters.recycling.enabled else NO_RECYCLING),
            "scenario_gen_config": _scenario_gen_config(parameters),
            "max_rounds": parameters.max_rounds,
            "winner_multiple": parameters.winner_multiple,
            **_copula_params(parameters),
        }
    )
    return rounded


def _copula_params(parameters: MatrixParameters) -> dict[str, Any]:
    terms = parameters.copula
    if terms is None:
        return {}
    regimes = sorted(terms.reference_regimes, key=lambda regime: regime.name)
    recycling_cap = terms.recycling_cap if parameters.recycling.enabled else 0.0
    reference = {"probabilities": _probabilities(regimes), "shock_ranges": _shock_ranges(regimes)}
    numbers = {_COPULA_KEYS.get(name, name): value for name, value in asdict(terms).items()}
    return {"copula": numbers | {"recycling_cap": recycling_cap, "reference_regimes": reference}}


def _scenario_gen_config(parameters: MatrixParameters) -> dict[str, Any]:
    regimes = sorted(parameters.regimes, key=lambda regime: regime.name)
    return {
        "regime_probabilities": _probabilities(regimes),
        "shock_ranges": _shock_ranges(regimes),
        "correlation": _canonical_correlation(parameters.correlation),
    }


def _shock_ranges(regimes: Sequence[Regime]) -> dict[str, dict[str, float]]:
    return {
        regime.name: {"min": min(regime.shock_min, regime.shock_max), "max": max(regime.shock_min, regime.shock_max)}
        for regime in regimes
    }


def _probabilities(regimes: Sequence[Regime]) -> dict[str, float]:
    """Probabilities in whole millionths that sum to 1. The last in name order takes what is left.

    Where less than nothing is left (the request may sum to 1 + 1e-6), it takes nothing and the one before gives way.
    """
    millionths = [_in_millionths(regime.probability) for regime in regimes]
    millionths[-1] = _MILLION - sum(millionths[:-1])
    for position in range(len(millionths) - 1, 0, -1):
        owed = min(millionths[position], 0)
        millionths[position] -= owed
        millionths[position - 1] += owed
    return {regime.name: count / _MILLION for regime, count in zip(regimes, millionths, strict=True)}


def _transition_rates(transitions: StageTransitions) -> dict[str, float]:
    """Rates in whole millionths that sum to at most 1; what rounding put above it comes off the largest."""
    millionths = {name: _in_millionths(rate) for name, rate in transitions.model_dump().items()}
    largest = max(millionths, key=lambda name: millionths[name])
    millionths[largest] -= max(sum(millionths.values()) - _MILLION, 0)
    return {name: count / _MILLION for name, count in millionths.items()}


def _in_millionths(fraction: float) -> int:
    return round(round(fraction, DECIMALS) * _MILLION)


def _canonical_correlation(
    correlation: tuple[Sequence[str], Sequence[Sequence[float]]] | None,
) -> dict[str, Any] | None:
    """Independent sectors are one configuration, whether spelt as no matrix or as the identity."""
    if correlation is None:
        return None
    sectors, rows = correlation
    values = round6(rows)
    independent = all(value == 0 for i, row in enumerate(values) for j, value in enumerate(row) if i != j)
    return None if independent else {"sectors": list(sectors), "values": values}


def _bucket(bucket: Mapping[str, Any]) -> BucketParams:
    key, stage, sector = bucket["key"], Stage(bucket["stage"]), bucket["sector"]
    numbers = {name: float(value) for name, value in bucket.items() if name not in ("key", "stage", "sector")}
    return BucketParams(key=key, stage=stage, sector=sector, **numbers)


def _transitions(policy: Mapping[str, Any]) -> dict[Stage, StageTransitions]:
    return {
        stage: StageTransitions(
            exit_rate=policy["exit_rate_by_stage"][stage],
            graduate_rate=policy["graduate_rate_by_stage"][stage],
            failure_rate=policy["failure_rate_by_stage"][stage],
        )
        for stage in Stage
        if stage in policy["exit_rate_by_stage"]
    }


def _exit_outcomes(policy: Mapping[str, Any]) -> dict[Stage, ExitOutcome]:
    medians, p90s = policy["exit_moic_median_by_stage"], policy["exit_moic_p90_by_stage"]
    return {stage: ExitOutcome(median_moic=medians[stage], p90_moic=p90s[stage]) for stage in Stage if stage in medians}


def _copula(terms: Mapping[str, Any] | None) -> CopulaTerms | None:
    if terms is None:
        return None
    reference = terms["reference_regimes"]
    regimes = _regimes_of(reference["probabilities"], reference["shock_ranges"])
    other = ("companies_per_bucket", "reference_regimes")
    fields_of = {key: name for name, key in _COPULA_KEYS.items()}
    numbers = {fields_of.get(key, key): float(value) for key, value in terms.items() if key not in other}
    return CopulaTerms(int(terms["companies_per_bucket"]), reference_regimes=regimes, **numbers)


def _regimes(config: Mapping[str, Any]) -> tuple[Regime, ...]:
    return _regimes_of(config["regime_probabilities"], config["shock_ranges"])


def _regimes_of(probabilities: Mapping[str, Any], ranges: Mapping[str, Any]) -> tuple[Regime, ...]:
    return tuple(
        Regime(name, float(probabilities[name]), float(ranges[name]["min"]), float(ranges[name]["max"]))
        for name in sorted(probabilities)
    )


def _recycling(recycling: Mapping[str, Any]) -> Recycling:
    return Recycling(
        enabled=recycling["enabled"],
        utilization=float(recycling["utilization"]),
        cash_multiple=float(recycling["cash_multiple"]),
        max_recycle_deals=int(recycling["max_recycle_deals"]),
    )


def _correlation(
    correlation: Mapping[str, Any] | None,
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]] | None:
    if correlation is None:
        return None
    rows = tuple(tuple(float(value) for value in row) for row in correlation["values"])
    return tuple(correlation["sectors"]), rows
