"""Normalization: every default resolved, every contradiction between request and calibration refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.snapshot import CapTableTerms, DealTerms, ExitOutcome, StageTransitions
from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.request.normalize import normalize
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.stages import Stage
from tests.unit.core.examples import FUND_ID, example_normalized, example_request, example_snapshot

EVERYWHERE = ["A_Bio", "A_SaaS", "B_Bio", "B_SaaS", "C_Bio", "C_SaaS", "Seed_Bio", "Seed_SaaS"]


def bucket_ids(normalized) -> list[str]:
    return [bucket.bucket_id for bucket in normalized.config.buckets]


def simulated(normalized) -> dict[str, Any]:
    return {bucket.key: bucket for bucket in simulation_inputs(normalized.key_document).buckets}


# Where the fund may invest


def test_absent_buckets_are_all_stages_and_sectors_of_the_calibration_in_key_order():
    assert bucket_ids(example_normalized()) == EVERYWHERE


def test_stages_and_sectors_are_multiplied_and_either_may_be_left_out():
    assert bucket_ids(example_normalized(buckets={"stages": ["Seed", "A"], "sectors": ["X"]})) == ["A_X", "Seed_X"]
    assert bucket_ids(example_normalized(buckets={"stages": ["B"]})) == ["B_Bio", "B_SaaS"]
    assert bucket_ids(example_normalized(buckets={"sectors": ["X"]})) == ["A_X", "B_X", "C_X", "Seed_X"]


def test_listed_buckets_are_sorted_by_code_point_and_sectors_may_hold_anything_printable():
    listed = [{"stage": "A", "sector": sector} for sector in ("é", "b_b", "a b", "Z", "日本")]
    assert bucket_ids(example_normalized(buckets=listed)) == ["A_Z", "A_a b", "A_b_b", "A_é", "A_日本"]


# Where a figure comes from


OVERRIDES = [
    ("medianMoic", "median_moic", 2.5, None, 3.5),
    ("p90Moic", "p90_moic", 30.0, None, 19.0),
    ("reserveRatio", "reserve_ratio", 0.1, ("reserveRatioByStage", {"Seed": 0.2}), 0.5),
    ("initialCheckSize", "initial_check_size", 5e5, ("initialCheckSizeByStage", {"Seed": 6e5}), 1e6),
    ("checkSizeCv", "check_size_cv", 0.0, ("checkSizeCvByStage", {"Seed": 0.15}), 0.3),
    ("roundsToExit", "rounds_to_exit", 1.0, ("roundsToExitByStage", {"Seed": 2.0}), 4.0),
    ("sectorRiskMultiplier", "sector_risk_multiplier", 1.5, ("sectorRiskMultipliers", {"Bio": 1.4}), 1.2),
    ("sectorReturnMultiplier", "sector_return_multiplier", 1.5, ("sectorReturnMultipliers", {"Bio": 1.4}), 1.1),
]


@pytest.mark.parametrize(("field", "name", "own", "policy", "calibrated"), OVERRIDES, ids=lambda part: str(part)[:24])
def test_a_bucket_goes_before_the_policy_and_the_policy_before_the_calibration(field, name, own, policy, calibrated):
    plain = {"stage": "Seed", "sector": "Bio"}
    own_figure = plain | {field: own}

    def resolved(bucket: dict[str, Any], **changes: Any) -> float:
        return getattr(simulated(example_normalized(buckets=[bucket], **changes))["Seed_Bio"], name)

    assert resolved(plain) == calibrated
    assert resolved(own_figure) == own
    if policy is not None:
        policy_field, values = policy
        assert resolved(plain, policy={policy_field: values}) == next(iter(values.values()))
        assert resolved(own_figure, policy={policy_field: values}) == own


def test_a_sector_the_calibration_does_not_know_is_like_the_average_of_its_stage():
    bucket = simulated(example_normalized(buckets=[{"stage": "Seed", "sector": "New"}]))["Seed_New"]
    assert (bucket.sector_risk_multiplier, bucket.sector_return_multiplier) == (1, 1)


def test_the_policy_replaces_the_cap_table_of_the_calibration_field_by_field():
    normalized = example_normalized(policy={"dilutionPerRoundPct": 0.0})
    assert simulation_inputs(normalized.key_document).cap_table == CapTableTerms(
        dilution_per_round_pct=0, option_pool_refresh_pct=0.04, pro_rata_participation_rate=0.8
    )


def test_the_configuration_carries_every_limit_and_setting_of_the_request():
    config = example_normalized(
        cvarConfidenceLevel=0.9,
        minExpectedWinners=1.5,
        bucketMaxWeight=0.4,
        sectorBounds={"SaaS": {"min": 0.1}},
        stageBounds={"C": {"max": 0.2}, "Seed": {"min": 0.3, "max": 0.9}},
        relaxationMode="off",
        primaryLockEpsilon=0,
        validationScenarios=1000,
        workLimit=10,
        taxonomyVersion="v2",
        scenarioGenConfig={"scenarioCount": 50},
        buckets=None,
    ).config
    assert config.fund_id == UUID(FUND_ID)
    assert (config.total_fund_size_usd, config.max_loss_probability) == (1e8, 0.3)
    assert (config.cvar_confidence_level, config.cvar_limit, config.min_expected_winners) == (0.9, 0.5, 1.5)
    assert config.bucket_max_weight == 0.4
    assert config.sector_bounds == {"SaaS": WeightBounds(min=0.1, max=1.0)}
    assert config.stage_bounds == {
        Stage.SEED: WeightBounds(min=0.3, max=0.9),
        Stage.C: WeightBounds(min=0.0, max=0.2),
    }
    assert (config.relaxation_mode, config.primary_lock_epsilon, config.work_limit) == ("off", 0, 10)
    assert (config.validation_scenarios, config.scenario_count) == (1000, 50)
    assert (config.sim_model_version, config.calibration_version) == ("three_component_v2", "example-1")
    assert config.taxonomy_version == "v2"


def test_the_configuration_survives_its_json():
    config = example_normalized(stageBounds={"Seed": {"min": 0.1}}).config
    assert NormalizedConfig.model_validate_json(config.model_dump_json()) == config


def test_optimizer_and_simulation_see_the_same_rounded_amounts():
    normalized = example_normalized(
        buckets=[{"stage": "Seed", "sector": "Bio", "initialCheckSize": 1e6 + 1e-7, "reserveRatio": 1 / 3}]
    )
    (bucket,) = normalized.config.buckets
    assert (bucket.initial_check_usd, bucket.reserve_ratio) == (1e6, 0.333333)
    (row,) = simulated(normalized).values()
    assert (row.initial_check_size, row.reserve_ratio) == (bucket.initial_check_usd, bucket.reserve_ratio)


def test_labelled_correlations_are_put_in_sorted_order_of_their_sectors():
    labelled = {"sectors": ["c", "a", "b"], "values": [[1, 0.3, 0.1], [0.3, 1, 0.2], [0.1, 0.2, 1]]}
    rows_only = [[1, 0.2, 0.3], [0.2, 1, 0.1], [0.3, 0.1, 1]]
    expected = (("a", "b", "c"), ((1, 0.2, 0.3), (0.2, 1, 0.1), (0.3, 0.1, 1)))
    for matrix in (labelled, rows_only):
        normalized = example_normalized(
            buckets={"sectors": ["b", "c", "a"]}, scenarioGenConfig={"regimeConfig": {"correlationMatrix": matrix}}
        )
        assert simulation_inputs(normalized.key_document).correlation == expected


# What request and calibration refuse together


def correlation(matrix: object) -> dict[str, Any]:
    return {"scenarioGenConfig": {"regimeConfig": {"correlationMatrix": matrix}}}


CORRELATION = "scenarioGenConfig.regimeConfig.correlationMatrix"
ONE = {"stage": "Seed", "sector": "Bio"}

REFUSED: list[tuple[dict[str, Any], str, object, str]] = [
    ({"bucketMaxWeight": 0.12}, "bucketMaxWeight", 0.12, "1/8 = 0.125000"),
    (
        {"bucketMaxWeight": 0.333333, "buckets": {"stages": ["A"], "sectors": ["a", "b", "c"]}},
        "bucketMaxWeight",
        0.333333,
        "1/3 = 0.333334",
    ),
    ({"sectorBounds": {"Fintech": {"max": 0.5}}}, "sectorBounds.Fintech", "Fintech", "Bio, SaaS"),
    ({"stageBounds": {"C": {"max": 0.5}}, "buckets": [ONE]}, "stageBounds.C", "C", "known: Seed"),
    ({"policy": {"sectorRiskMultipliers": {"Saas": 1}}}, "policy.sectorRiskMultipliers.Saas", "Saas", "Bio, SaaS"),
    ({"policy": {"sectorReturnMultipliers": {"Saas": 1}}}, "policy.sectorReturnMultipliers.Saas", "Saas", "Bio, SaaS"),
    ({"sectorBounds": {"Bio": {"max": 0.4}, "SaaS": {"max": 0.5}}}, "sectorBounds", 0.9, "sum of the maxima"),
    ({"stageBounds": {"Seed": {"max": 0.4}}, "buckets": [ONE]}, "stageBounds", 0.4, "sum of the maxima"),
    ({"buckets": [ONE | {"p90Moic": 3.5}]}, "buckets[0].p90Moic", 3.5, "median multiple (3.5) of bucket Seed_Bio"),
    (
        {"buckets": [{"stage": "A", "sector": "Bio"}, ONE | {"medianMoic": 20}]},
        "buckets[1].p90Moic",
        19.0,
        "median multiple (20)",
    ),
    ({"buckets": [ONE | {"medianMoic": 2, "p90Moic": 2.0000001}]}, "buckets[0].p90Moic", 2.0000001, "at six decimals"),
    ({"buckets": [ONE | {"medianMoic": 1e-9}]}, "buckets[0].medianMoic", 1e-9, "above 0, at six decimals"),
    ({"buckets": [ONE | {"initialCheckSize": 1e-9}]}, "buckets[0].initialCheckSize", 1e-9, "above 0, at six decimals"),
    (
        {"policy": {"sectorRiskMultipliers": {"Bio": 1e-9}}, "buckets": [ONE]},
        "buckets[0].sectorRiskMultiplier",
        1e-9,
        "above 0",
    ),
    (
        {"policy": {"initialCheckSizeByStage": {"Seed": 1e-9}}, "buckets": {"stages": ["Seed"], "sectors": ["X"]}},
        "buckets",
        1e-9,
        "Seed_X",
    ),
    (
        {"policy": {"dilutionPerRoundPct": 0.9999999}},
        "policy.dilutionPerRoundPct",
        0.9999999,
        "below 1, at six decimals",
    ),
    (
        {"scenarioGenConfig": {"winnerMultiple": 1e-9}},
        "scenarioGenConfig.winnerMultiple",
        1e-9,
        "above 0, at six decimals",
    ),
    (
        {"scenarioGenConfig": {"recyclingConfig": {"enabled": True, "cashMultiple": 1e-9}}},
        "scenarioGenConfig.recyclingConfig.cashMultiple",
        1e-9,
        "above 0, at six decimals",
    ),
    (correlation([[1]]), CORRELATION, 1, "number of sectors of the buckets (2)"),
    (
        correlation({"sectors": ["Bio", "Sass"], "values": [[1, 0], [0, 1]]}),
        f"{CORRELATION}.sectors",
        ["Bio", "Sass"],
        "Bio, SaaS",
    ),
    (
        {"scenarioGenConfig": {"transitionCorrelation": 0.9999999}},
        "scenarioGenConfig.transitionCorrelation",
        0.9999999,
        "below 1, at six decimals",
    ),
    (
        {"scenarioGenConfig": {"outcomeCap": 19}, "buckets": [ONE | {"reserveRatio": 0, "sectorReturnMultiplier": 1}]},
        "scenarioGenConfig.outcomeCap",
        19.0,
        "return multiplier of Seed_Bio (19)",
    ),
    (
        {"scenarioGenConfig": {"outcomeCap": 12}, "buckets": [ONE | {"p90Moic": 5, "sectorReturnMultiplier": 1.2}]},
        "scenarioGenConfig.outcomeCap",
        12.0,
        "stage A times the return multiplier of Seed_Bio (12.6)",
    ),
    ({"buckets": [ONE | {"roundsToExit": 1.5}]}, "buckets[0].roundsToExit", 1.5, "whole number of rounds"),
    ({"calibrationVersion": "example-2"}, "calibrationVersion", "example-2", "example-1"),
]


@pytest.mark.parametrize(("changes", "field", "value", "rule"), REFUSED, ids=lambda part: str(part)[:50])
def test_a_contradiction_is_refused_by_field_value_and_rule(changes, field, value, rule):
    with pytest.raises(BadInput) as refused:
        example_normalized(**changes)
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == (field, value)
    assert rule in problem.rule


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 100))
def test_the_smallest_bucket_maximum_is_one_over_the_number_of_buckets(n_buckets):
    listed = [{"stage": "Seed", "sector": f"s{i}"} for i in range(n_buckets)]
    assert example_normalized(buckets=listed, bucketMaxWeight=1 / n_buckets).config.bucket_max_weight == 1 / n_buckets
    with pytest.raises(BadInput) as refused:
        example_normalized(buckets=listed, bucketMaxWeight=1 / n_buckets - 1e-8)
    named = float(refused.value.problems[0].rule.split("= ")[1].split(",")[0])
    assert example_normalized(buckets=listed, bucketMaxWeight=named).config.bucket_max_weight == named


@pytest.mark.parametrize("maxima", [{"Bio": 0.4, "SaaS": 0.6}, {"Bio": 0.1}, {}])
def test_maxima_that_leave_room_for_all_the_capital_are_accepted(maxima):
    bounds = {sector: {"max": most} for sector, most in maxima.items()}
    assert set(example_normalized(sectorBounds=bounds).config.sector_bounds) == set(maxima)


@pytest.mark.parametrize("buckets", [None, {}, {"stages": ["Seed"]}])
def test_a_calibration_without_sectors_asks_for_their_names(buckets):
    with pytest.raises(BadInput) as refused:
        normalize(example_request(buckets=buckets), example_snapshot(sectors={}))
    (problem,) = refused.value.problems
    assert problem.field == "buckets.sectors"
    assert "example-1" in problem.rule
    assert "name them" in problem.rule


def test_a_calibration_without_sectors_serves_a_request_that_names_them():
    reference = example_snapshot(sectors={}, sector_multipliers={})
    assert bucket_ids(normalize(example_request(buckets={"sectors": ["X"]}), reference)) == [
        "A_X",
        "B_X",
        "C_X",
        "Seed_X",
    ]


def test_a_sector_of_the_calibration_that_no_request_could_name_is_refused():
    with pytest.raises(BadInput, match=r"^buckets.sector = ' Bio': .*printable"):
        normalize(example_request(), example_snapshot(sectors={" Bio": 3}))


def without(stage: Stage, field: str):
    return example_snapshot(**{field: {s: v for s, v in getattr(example_snapshot(), field).items() if s is not stage}})


@pytest.mark.parametrize(
    ("lacking", "name"),
    [("transition_stats", "transitions"), ("exit_outcomes", "exit outcome"), ("deal_terms", "deal terms")],
)
def test_a_bucket_whose_stage_is_not_calibrated_is_refused(lacking, name):
    listed = [{"stage": "C", "sector": "Bio"}, {"stage": "B", "sector": "Bio"}, {"stage": "B", "sector": "SaaS"}]
    with pytest.raises(BadInput) as refused:
        normalize(example_request(buckets=listed), without(Stage.B, lacking))
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == ("buckets[1].stage", "B")
    assert f"no {name}" in problem.rule


def test_a_later_stage_needs_transitions_only_where_companies_can_graduate_into_it():
    snapshot = without(Stage.C, "transition_stats")
    in_b = example_request(buckets=[{"stage": "B", "sector": "Bio"}])
    with pytest.raises(BadInput) as refused:
        normalize(in_b, snapshot)
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == ("buckets", "C")

    one_round = example_request(buckets=[{"stage": "B", "sector": "Bio"}], scenarioGenConfig={"maxRounds": 1})
    assert bucket_ids(normalize(one_round, snapshot)) == ["B_Bio"]
    no_graduation = snapshot.model_copy(
        update={"transition_stats": {Stage.B: StageTransitions(exit_rate=0.5, graduate_rate=0, failure_rate=0.5)}}
    )
    assert bucket_ids(normalize(in_b, no_graduation)) == ["B_Bio"]


def test_reserves_need_exit_outcomes_of_the_stages_they_are_spent_in():
    example = example_snapshot()
    outcomes = {stage: outcome for stage, outcome in example.exit_outcomes.items() if stage is not Stage.B}
    lacking = example_snapshot(exit_outcomes=outcomes)
    seed = {"stage": "Seed", "sector": "Bio", "roundsToExit": 2}
    with pytest.raises(BadInput, match=r"buckets\[0\].roundsToExit = 2.0: .* in stage B, .* has no exit outcome"):
        normalize(example_request(buckets=[seed]), lacking)
    for untouched in (seed | {"reserveRatio": 0}, seed | {"roundsToExit": 1}):
        normalize(example_request(buckets=[untouched]), lacking)
    first = example_request(buckets=[seed], modelVersion="three_component_v1", expectations="sample")
    normalize(first, lacking)


@pytest.mark.parametrize(("fitted", "other"), [(1, 2), (2, 1)])
def test_exit_outcomes_that_were_fitted_for_one_model_are_not_used_by_another(fitted, other):
    snapshot = example_snapshot(fitted_for=f"three_component_v{fitted}")
    own = {"stage": "Seed", "sector": "Bio", "medianMoic": 3, "p90Moic": 12}
    normalize(example_request(modelVersion=f"three_component_v{fitted}", expectations="sample"), snapshot)
    normalize(example_request(modelVersion=f"three_component_v{other}", buckets=[own]), snapshot)
    with pytest.raises(BadInput, match=f"modelVersion = .*: the exit outcomes .* fitted for three_component_v{fitted}"):
        normalize(example_request(modelVersion=f"three_component_v{other}"), snapshot)


def test_the_first_model_takes_fractions_of_rounds_which_it_does_not_read():
    bucket = {"stage": "Seed", "sector": "Bio", "roundsToExit": 1.5}
    example_normalized(buckets=[bucket], modelVersion="three_component_v1", expectations="sample")


def test_figures_of_the_calibration_are_judged_as_they_are_simulated():
    snapshot = example_snapshot(exit_outcomes={Stage.SEED: ExitOutcome(median_moic=2, p90_moic=2.0000001)})
    with pytest.raises(BadInput, match="p90 must exceed the median"):
        normalize(example_request(buckets={"stages": ["Seed"]}), snapshot)
    tiny = DealTerms(initial_check_size=1e-9, check_size_cv=0, reserve_ratio=0, rounds_to_exit=1)
    with pytest.raises(BadInput, match="initial_check_size of bucket Seed_Bio must be above 0"):
        normalize(example_request(buckets={"stages": ["Seed"]}), example_snapshot(deal_terms={Stage.SEED: tiny}))


def test_every_contradiction_is_reported_at_once():
    request = example_request(
        buckets=[ONE | {"p90Moic": 1}, {"stage": "B", "sector": "Bio"}],
        bucketMaxWeight=0.1,
        sectorBounds={"SaaS": {}},
        stageBounds={"Seed": {"max": 0.1}, "B": {"max": 0.1}},
        calibrationVersion="other",
        **correlation([[1, 0], [0, 1]]),
    )
    with pytest.raises(BadInput) as refused:
        normalize(request, without(Stage.B, "deal_terms"))
    assert {problem.field for problem in refused.value.problems} == {
        "calibrationVersion",
        "buckets[1].stage",
        "stageBounds",
        "sectorBounds.SaaS",
        "bucketMaxWeight",
        CORRELATION,
        "buckets[0].p90Moic",
    }
