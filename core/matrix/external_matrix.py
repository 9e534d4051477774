"""A scenario matrix that somebody else made: is it one, and what does a request mean on it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from core.arrays import Float32Array, FloatArray
from core.errors import BadInput, FieldProblem
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.request.model import BucketGrid, BucketRequest, OptimizationRequest
from core.request.normalize import configuration
from core.request.normalized_config import ConfiguredBucket, NormalizedConfig
from core.request.rules import bucket_dependent_problems
from core.request.wording import problems_in_words
from core.stages import Stage, bucket_id

NOT_SIMULATED = "not simulated here"
"""Model and calibration of a matrix that does not say where it comes from."""

ONLY_FOR_SIMULATION = (
    "calibration_version",
    "model_version",
    "policy",
    "risk_scenarios",
    "scenario_gen_config",
    "taxonomy_version",
    "validation_scenarios",
)
"""Fields of a request that say how scenarios are simulated. On a matrix that is given they have nothing to say."""

_READ_OF_A_BUCKET = {"stage", "sector", "initial_check_size", "reserve_ratio"}


@dataclass(frozen=True, slots=True)
class GivenBucket:
    """One row as the file has it."""

    key: str
    stage: str
    sector: str
    initial_check_usd: float
    reserve_ratio: float
    win_probability: float


@dataclass(frozen=True, slots=True)
class ExternalMatrix:
    """A matrix that has been checked. buckets: in bucket-key order, as the rows."""

    matrix: ScenarioMatrix
    buckets: tuple[ConfiguredBucket, ...]


def checked_matrix(
    rows: Sequence[GivenBucket], moic: Sequence[FloatArray | Float32Array], states: Sequence[ScenarioState] | None
) -> ExternalMatrix:
    """rows and moic: one per bucket, in any order; moic: multiples by scenario, rounded to float32 here.

    states: one per scenario, None where nobody knows. Raises BadInput with everything that is wrong, by bucket.
    """
    if not rows:
        raise BadInput.of("matrix", 0, "is the number of buckets; there must be at least one")
    problems = [*_bucket_problems(rows), *_shape_problems(rows, moic)]
    with np.errstate(over="ignore"):
        single = [np.asarray(values, dtype=np.float32) for values in moic]
    for row, values in zip(rows, single, strict=True):
        problems += _entry_problems(row.key, values)
    if problems:
        raise BadInput(problems)
    order = sorted(range(len(rows)), key=lambda k: rows[k].key)
    n_scenarios = len(single[0])
    if states is not None and len(states) != n_scenarios:
        raise BadInput.of("vcfolio.scenario_states", len(states), f"must be as many as scenarios, {n_scenarios}")
    unknown = ScenarioState(NOT_SIMULATED, 0.0, (), ())
    matrix = ScenarioMatrix(
        np.ascontiguousarray(np.stack([single[k] for k in order])),
        tuple(rows[k].key for k in order),
        np.array([rows[k].win_probability for k in order], dtype=np.float64),
        states if states is not None else [unknown] * n_scenarios,
    )
    return ExternalMatrix(matrix, tuple(_configured(rows[k]) for k in order))


def configure(request: OptimizationRequest, given: ExternalMatrix, provenance: Mapping[str, str]) -> NormalizedConfig:
    """What the request asks of this matrix. provenance: `sim_model_version`, `calibration_version`, if known.

    Buckets and their deal terms are the matrix's. Raises BadInput where the request contradicts them or its limits
    cannot be met by any weights.
    """
    requested = [BucketRequest(stage=bucket.stage, sector=bucket.sector) for bucket in given.buckets]
    problems = [
        *_contradictions(request, given),
        *bucket_dependent_problems(request, requested),
    ]
    if problems:
        raise BadInput(problems)
    return configuration(
        request,
        given.buckets,
        scenario_count=given.matrix.n_scenarios,
        sim_model_version=provenance.get("sim_model_version", NOT_SIMULATED),
        calibration_version=provenance.get("calibration_version", NOT_SIMULATED),
        expectations="sample",
        risk_scenarios=None,
    )


def unread_fields(request: OptimizationRequest) -> list[str]:
    """What the request says, in its own spelling, that a given matrix leaves without effect."""
    said: dict[str, Any] = request.model_dump(mode="json", by_alias=False, exclude_unset=True)
    unread = [str(OptimizationRequest.model_fields[name].alias) for name in ONLY_FOR_SIMULATION if name in said]
    listed = request.buckets if isinstance(request.buckets, tuple) else ()
    of_buckets = {name for bucket in listed for name in bucket.model_fields_set} - _READ_OF_A_BUCKET
    return unread + [f"buckets[].{BucketRequest.model_fields[name].alias}" for name in sorted(of_buckets)]


def _configured(row: GivenBucket) -> ConfiguredBucket:
    return ConfiguredBucket(
        bucket_id=row.key,
        stage=Stage(row.stage),
        sector=row.sector,
        initial_check_usd=row.initial_check_usd,
        reserve_ratio=row.reserve_ratio,
    )


def _bucket_problems(rows: Sequence[GivenBucket]) -> Iterator[FieldProblem]:
    seen: set[str] = set()
    for row in rows:
        try:
            BucketRequest(stage=row.stage, sector=row.sector)
        except ValidationError as error:
            yield from problems_in_words(error, within=(f"matrix[{row.key}]",))
        if row.key != bucket_id(row.stage, row.sector):
            yield FieldProblem("key", row.key, f"must be the stage and the sector: {bucket_id(row.stage, row.sector)}")
        if row.key in seen:
            yield FieldProblem("key", row.key, "is given more than once: bucket keys must be unique")
        seen.add(row.key)
        # Written so that NaN fails, too.
        if not 0.0 < row.initial_check_usd < np.inf:
            yield FieldProblem(
                f"initial_check_usd[{row.key}]", row.initial_check_usd, "must be a finite amount above 0"
            )
        if not 0.0 <= row.reserve_ratio < np.inf:
            yield FieldProblem(f"reserve_ratio[{row.key}]", row.reserve_ratio, "must be a finite number of at least 0")
        if not 0.0 <= row.win_probability <= 1.0:
            yield FieldProblem(f"win_probability[{row.key}]", row.win_probability, "must be 0 to 1")


def _shape_problems(rows: Sequence[GivenBucket], moic: Sequence[FloatArray | Float32Array]) -> Iterator[FieldProblem]:
    n_scenarios = len(moic[0])
    for row, values in zip(rows, moic, strict=True):
        if len(values) == 0:
            yield FieldProblem(f"moic[{row.key}]", [], "has zero scenarios; there must be at least one")
        elif len(values) != n_scenarios:
            rule = f"is the number of scenarios; bucket {rows[0].key} has {n_scenarios}, and all must have as many"
            yield FieldProblem(f"moic[{row.key}]", len(values), rule)


def _entry_problems(key: str, values: Float32Array) -> Iterator[FieldProblem]:
    """The first entry of each kind that is no multiple, and how many there are."""
    kinds = (
        (np.isnan(values), "must be a number"),
        (np.isinf(values), "must be finite in single precision"),
        (values < 0, "must be at least 0: a multiple cannot be negative"),
    )
    for wrong, rule in kinds:
        count = int(np.count_nonzero(wrong))
        if count:
            first = int(np.argmax(wrong))
            more = f" ({count} entries of this bucket are wrong in this way)" if count > 1 else ""
            yield FieldProblem(f"moic[{key}][{first}]", float(values[first]), rule + more)


def _contradictions(request: OptimizationRequest, given: ExternalMatrix) -> Iterator[FieldProblem]:
    keys = {bucket.bucket_id: bucket for bucket in given.buckets}
    if isinstance(request.buckets, BucketGrid):
        yield from _grid_contradictions(request.buckets, given)
    elif request.buckets is not None:
        asked = {bucket_id(bucket.stage, bucket.sector): bucket for bucket in request.buckets}
        yield from _other_buckets(set(asked), set(keys))
        for key in sorted(asked.keys() & keys.keys()):
            yield from _other_terms(asked[key], keys[key])
    if "expectations" in request.model_fields_set and request.expectations != "sample":
        rule = 'must be "sample", or left out: nothing but its sample is known of a matrix of your own'
        yield FieldProblem("expectations", request.expectations, rule)
    scenarios = request.scenario_gen_config
    if "scenario_count" in scenarios.model_fields_set and scenarios.scenario_count != given.matrix.n_scenarios:
        rule = f"the matrix has {given.matrix.n_scenarios} scenarios; leave it out, or say the same"
        yield FieldProblem("scenarioGenConfig.scenarioCount", scenarios.scenario_count, rule)


def _grid_contradictions(grid: BucketGrid, given: ExternalMatrix) -> Iterator[FieldProblem]:
    stages = {bucket.stage for bucket in given.buckets}
    sectors = {bucket.sector for bucket in given.buckets}
    asked_stages, asked_sectors = set(grid.stages or stages), set(grid.sectors or sectors)
    asked = {bucket_id(stage, sector) for stage in asked_stages for sector in asked_sectors}
    yield from _other_buckets(asked, {bucket.bucket_id for bucket in given.buckets})


def _other_buckets(asked: set[str], known: set[str]) -> Iterator[FieldProblem]:
    for key in sorted(asked ^ known):
        where = "in the request, not in the matrix" if key in asked else "in the matrix, not in the request"
        yield FieldProblem("buckets", key, f"is {where}; leave buckets out to take those of the matrix")


def _other_terms(asked: BucketRequest, given: ConfiguredBucket) -> Iterator[FieldProblem]:
    for name, said, known in (
        ("initialCheckSize", asked.initial_check_size, given.initial_check_usd),
        ("reserveRatio", asked.reserve_ratio, given.reserve_ratio),
    ):
        if said is not None and abs(said - known) > 1e-6:
            yield FieldProblem(f"buckets.{given.bucket_id}.{name}", said, f"the matrix was made with {known:.12g}")
