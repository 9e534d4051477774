"""A matrix that somebody else made: refused by bucket and scenario, or taken as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import BadInput
from core.matrix.external_matrix import (
    NOT_SIMULATED,
    ExternalMatrix,
    GivenBucket,
    checked_matrix,
    configure,
    unread_fields,
)
from core.stages import Stage
from tests.unit.core.examples import example_request

KEYS = ("Seed_AI", "A_AI", "Seed_Bio")


def bucket(name: str, **changes: Any) -> GivenBucket:
    stage, _, sector = name.partition("_")
    fields: dict[str, Any] = {"initial_check_usd": 1e6, "reserve_ratio": 0.5, "win_probability": 0.1}
    return GivenBucket(**{"key": name, "stage": stage, "sector": sector, **fields, **changes})


def given(n_scenarios: int = 3) -> ExternalMatrix:
    return checked_matrix([bucket(key) for key in KEYS], [np.full(n_scenarios, 1.0 + k) for k in range(3)], None)


def test_rows_come_in_bucket_key_order_whatever_order_they_were_in() -> None:
    matrix = given().matrix
    assert matrix.bucket_keys == ("A_AI", "Seed_AI", "Seed_Bio")
    assert matrix.moic.tolist() == [[2.0] * 3, [1.0] * 3, [3.0] * 3]
    assert matrix.moic.dtype == np.float32
    assert [configured.stage for configured in given().buckets] == [Stage.A, Stage.SEED, Stage.SEED]


@pytest.mark.parametrize(
    ("changes", "entries", "field", "value", "said"),
    [
        ({}, [1.0, np.nan, 2.0], "moic[Seed_AI][1]", "nan", "must be a number"),
        ({}, [1.0, np.inf, 2.0], "moic[Seed_AI][1]", "inf", "must be finite"),
        ({}, [1.0, 1.0, 1e39], "moic[Seed_AI][2]", "inf", "must be finite in single precision"),
        ({}, [-0.5, 1.0, -2.0], "moic[Seed_AI][0]", "-0.5", r"must be at least 0.*2 entries"),
        ({}, [1.0], "moic[A_AI]", "3", "is the number of scenarios; bucket Seed_AI has 1"),
        ({}, [], "moic[Seed_AI]", "[]", "zero scenarios"),
        ({"key": "Seed_ML"}, [1.0] * 3, "key", "'Seed_ML'", "must be the stage and the sector: Seed_AI"),
        ({"key": "A_AI", "stage": "A"}, [1.0] * 3, "key", "'A_AI'", "given more than once"),
        ({"key": "D_AI", "stage": "D"}, [1.0] * 3, "matrix[D_AI].stage", "'D'", "must be"),
        ({"key": "Seed_", "sector": ""}, [1.0] * 3, "matrix[Seed_].sector", "''", "printable"),
        ({"initial_check_usd": 0.0}, [1.0] * 3, "initial_check_usd[Seed_AI]", "0.0", "above 0"),
        ({"initial_check_usd": np.nan}, [1.0] * 3, "initial_check_usd[Seed_AI]", "nan", "above 0"),
        ({"reserve_ratio": -0.1}, [1.0] * 3, "reserve_ratio[Seed_AI]", "-0.1", "at least 0"),
        ({"win_probability": 1.1}, [1.0] * 3, "win_probability[Seed_AI]", "1.1", "must be 0 to 1"),
    ],
)
def test_what_is_no_matrix_is_refused_by_field_value_and_rule(
    changes: dict[str, Any], entries: list[float], field: str, value: str, said: str
) -> None:
    rows = [bucket("Seed_AI", **changes), bucket("A_AI"), bucket("Seed_Bio")]
    with pytest.raises(BadInput, match=said) as refused:
        checked_matrix(rows, [np.array(entries), np.ones(3), np.ones(3)], None)
    assert (field, value) in [(problem.field, repr(problem.value)) for problem in refused.value.problems]


def test_no_buckets_are_no_matrix() -> None:
    with pytest.raises(BadInput, match="at least one"):
        checked_matrix([], [], None)


def test_every_wrong_bucket_is_named_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        checked_matrix([bucket(key) for key in KEYS], [np.full(3, np.nan), np.full(3, -1.0), np.ones(3)], None)
    assert [problem.field for problem in refused.value.problems] == ["moic[Seed_AI][0]", "moic[A_AI][0]"]


def test_the_request_gives_the_limits_and_the_matrix_the_buckets() -> None:
    request = example_request(bucketMaxWeight=0.5, sectorBounds={"AI": {"max": 0.6}})
    config = configure(request, given(), {"sim_model_version": "ours"})
    assert [b.bucket_id for b in config.buckets] == ["A_AI", "Seed_AI", "Seed_Bio"]
    assert (config.scenario_count, config.sim_model_version, config.calibration_version) == (3, "ours", NOT_SIMULATED)
    assert (config.bucket_max_weight, config.sector_bounds["AI"].max) == (0.5, 0.6)
    assert config.buckets[0].all_in_cost_usd == 1.5e6


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown bucket in a bound": ({"sectorBounds": {"Space": {"max": 0.5}}}, "sectorBounds.Space", "AI, Bio"),
    "a cap below one share": ({"bucketMaxWeight": 0.3}, "bucketMaxWeight", "at least 1/3"),
    "maxima that sum below 1": (
        {"sectorBounds": {"AI": {"max": 0.3}, "Bio": {"max": 0.4}}},
        "sectorBounds",
        r"sum of the maxima \(AI 0.3, Bio 0.4\)",
    ),
    "a bucket too many": (
        {"buckets": [{"stage": s, "sector": "AI"} for s in ("Seed", "A", "B")]},
        "buckets",
        "'B_AI': is in the request, not in the matrix",
    ),
    "a grid of others": ({"buckets": {"stages": ["Seed"]}}, "buckets", "'A_AI': is in the matrix, not in the request"),
    "more scenarios": (
        {"scenarioGenConfig": {"scenarioCount": 400}},
        "scenarioGenConfig.scenarioCount",
        "has 3",
    ),
    "other deal terms": (
        {
            "buckets": [
                {"stage": "Seed", "sector": "AI", "reserveRatio": 2},
                {"stage": "A", "sector": "AI"},
                {"stage": "Seed", "sector": "Bio"},
            ]
        },
        "buckets.Seed_AI.reserveRatio",
        "made with 0.5",
    ),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_a_request_that_contradicts_the_matrix_is_refused(kind: str) -> None:
    changes, field, said = CONTRADICTIONS[kind]
    with pytest.raises(BadInput, match=said) as refused:
        configure(example_request(**changes), given(), {})
    assert field in [problem.field for problem in refused.value.problems]


def test_what_only_a_simulation_could_read_is_named() -> None:
    buckets = [{"stage": "Seed", "sector": "AI", "medianMoic": 2, "p90Moic": 9, "reserveRatio": 0.5}]
    request = example_request(policy={"dilutionPerRoundPct": 0.1}, buckets=buckets, validationScenarios=200)
    assert unread_fields(request) == [
        "policy",
        "validationScenarios",
        "buckets[].medianMoic",
        "buckets[].p90Moic",
    ]
    assert unread_fields(example_request()) == []
