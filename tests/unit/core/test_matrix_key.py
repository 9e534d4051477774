"""The matrix key: one for one meaning, another for another, and the simulation reads what was hashed."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.snapshot import CalibrationSnapshot, DealTerms, ExitOutcome, StageTransitions
from core.matrix.key import simulation_inputs
from core.request import parse_request
from core.request.normalize import normalize
from core.simulation.inputs import Recycling
from core.stages import Stage
from tests.unit.core.examples import (
    example_document,
    example_normalized,
    example_request,
    example_snapshot,
    leaves,
    replaced,
)
from tests.unit.core.key_examples import DOES_NOT_MOVE_THE_MATRIX, FULL, FULL_KEY, key_of

# The key, by hand


def test_the_key_is_the_sha256_of_the_canonical_json_of_its_parts():
    """Everything written out by hand for one bucket; only sha256 is taken from elsewhere."""
    snapshot = example_snapshot(
        transition_stats={Stage.C: StageTransitions(exit_rate=0.2, graduate_rate=0.15, failure_rate=1 / 3)},
        exit_outcomes={Stage.C: ExitOutcome(median_moic=1.5, p90_moic=4)},
        deal_terms={Stage.C: DealTerms(initial_check_size=4e6, check_size_cv=0, reserve_ratio=0, rounds_to_exit=1)},
    )
    buckets = (
        '[{"check_size_cv":0,"initial_check_size":4000000,"key":"C_Bio","median_moic":1.5,"p90_moic":4,'
        '"reserve_ratio":0,"rounds_to_exit":1,"sector":"Bio","sector_return_multiplier":1.1,'
        '"sector_risk_multiplier":1.2,"stage":"C"}]'
    )
    policy = (
        '{"check_size_cv_by_stage":{"C":0},"dilution_per_round_pct":0.18,"exit_moic_median_by_stage":{"C":1.5},'
        '"exit_moic_p90_by_stage":{"C":4},"exit_rate_by_stage":{"C":0.2},"failure_rate_by_stage":{"C":0.333333},'
        '"graduate_rate_by_stage":{"C":0.15},"initial_check_size_by_stage":{"C":4000000},"max_rounds":10,'
        '"option_pool_refresh_pct":0.04,"pro_rata_participation_rate":0.8,'
        '"recycling":{"cash_multiple":1,"enabled":false,"max_recycle_deals":0,"utilization":0},'
        '"reserve_ratio_by_stage":{"C":0},"rounds_to_exit_by_stage":{"C":1},'
        '"scenario_gen_config":{"correlation":null,'
        '"regime_probabilities":{"base":0.5,"boom":0.25,"recession":0.25},'
        '"shock_ranges":{"base":{"max":0.3,"min":-0.3},"boom":{"max":1,"min":0.3},"recession":{"max":-0.3,"min":-1}}},'
        '"sector_return_multipliers":{"Bio":1.1},"sector_risk_multipliers":{"Bio":1.2},'
        '"survival_matrix_version":"example-1","winner_multiple":10}'
    )
    key = (
        f'{{"bucket_params_hash":"{hashlib.sha256(buckets.encode()).hexdigest()}","calibration_version":"example-1",'
        '"fund_id":"6f1c2a9e-3f51-4b7e-9a43-0d6f3b1c7e25","key_schema_version":"v1.2",'
        f'"policy_params_hash":"{hashlib.sha256(policy.encode()).hexdigest()}","scenario_count":400,'
        '"sim_model_version":"three_component_v1","taxonomy_version":"v1"}'
    )
    by_hand = "matrix_v1.2_" + hashlib.sha256(key.encode()).hexdigest()

    normalized = normalize(
        example_request(buckets=[{"stage": "C", "sector": "Bio"}], modelVersion="three_component_v1"), snapshot
    )
    assert normalized.matrix_key == by_hand
    assert by_hand == "matrix_v1.2_ed27d2498a8d8124673007f550c3cd7461a00a548325952ab8f14e2fba6717ad"


# One meaning, one key


def shuffled(node: Any, rng: Any) -> Any:
    """`node` with the keys of all its objects in another order."""
    if isinstance(node, dict):
        keys = list(node)
        rng.shuffle(keys)
        return {key: shuffled(node[key], rng) for key in keys}
    return [shuffled(item, rng) for item in node] if isinstance(node, list) else node


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.permutations(range(3)), st.permutations(range(3)), st.booleans())
def test_the_order_of_keys_buckets_regimes_and_labels_does_not_matter(rng, bucket_order, label_order, regimes_reversed):
    document = copy.deepcopy(FULL)
    document["buckets"] = [document["buckets"][i] for i in bucket_order]
    regime_config = document["scenarioGenConfig"]["regimeConfig"]
    if regimes_reversed:
        regime_config["regimes"].reverse()
    labelled = regime_config["correlationMatrix"]
    labelled["sectors"] = [labelled["sectors"][i] for i in label_order]
    labelled["values"] = [[labelled["values"][i][j] for j in label_order] for i in label_order]
    assert key_of(shuffled(document, rng)) == FULL_KEY


NUMBERS_OF_THE_MATRIX = [
    place
    for place, value in leaves(FULL)
    if isinstance(value, int | float) and not isinstance(value, bool) and place[0] not in DOES_NOT_MOVE_THE_MATRIX
]
COUNTS = {"scenarioCount", "maxRecycleDeals", "maxRounds", "companiesPerBucket"}
UNIT_DIAGONAL = [place for place in NUMBERS_OF_THE_MATRIX if place[-3:-2] == ("values",) and place[-1] == place[-2]]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_differences_below_the_sixth_decimal_do_not_matter(data):
    document = copy.deepcopy(FULL)
    for place in NUMBERS_OF_THE_MATRIX:
        if place[-1] in COUNTS or "values" in place:
            continue
        noise = data.draw(st.floats(-4e-8, 4e-8))
        value = document
        for step in place:
            value = value[step]
        document = replaced(document, place, value + noise)
    assert key_of(document) == FULL_KEY


def test_a_whole_number_may_be_written_with_or_without_decimals():
    document = FULL
    for place in NUMBERS_OF_THE_MATRIX:
        value: Any = FULL
        for step in place:
            value = value[step]
        document = replaced(document, place, float(value))
    assert key_of(document) == FULL_KEY


def test_both_spellings_of_a_request_have_one_key():
    def snake(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    def respelt(node: Any, *, names_are_fields: bool = True) -> Any:
        if isinstance(node, list):
            return [respelt(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            snake(key) if names_are_fields else key: respelt(
                child, names_are_fields=not key.endswith(("Bounds", "ByStage", "Multipliers"))
            )
            for key, child in node.items()
        }

    spelt = respelt(FULL)
    assert "median_moic" in spelt["buckets"][0]
    assert "Deep" in spelt["policy"]["sector_risk_multipliers"]
    assert key_of(spelt) == FULL_KEY


def test_listed_buckets_and_stages_times_sectors_have_one_key():
    listed = [{"stage": stage, "sector": sector} for sector in ("SaaS", "Bio") for stage in ("B", "Seed", "C", "A")]
    grid = {"stages": ["A", "Seed", "C", "B"], "sectors": ["SaaS", "Bio"]}
    assert len({key_of(example_document(buckets=buckets)) for buckets in (None, listed, grid)}) == 1


def test_a_default_spelt_out_has_the_key_of_the_default_left_out():
    spelt_out = parse_request(example_document()).model_dump(mode="json", by_alias=True)
    assert key_of(spelt_out) == key_of(example_document())


def test_naming_the_calibration_that_is_used_anyway_does_not_matter():
    assert key_of(example_document(calibrationVersion="example-1")) == key_of(example_document())


def test_a_shock_range_the_wrong_way_round_is_put_right():
    place = ("scenarioGenConfig", "regimeConfig", "regimes", 0, "shockRanges")
    document = replaced(FULL, place, {"min": 0.5, "max": 0.1})
    assert key_of(document) == FULL_KEY
    regime = {regime.name: regime for regime in simulation_inputs(normalize_full(document)).regimes}["up"]
    assert (regime.shock_min, regime.shock_max) == (0.1, 0.5)


def normalize_full(document: dict[str, Any]) -> dict[str, Any]:
    return normalize(parse_request(document), example_snapshot()).key_document


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(1e-12, 10), st.integers(0, 1000))
def test_recycling_that_is_off_is_one_configuration_whatever_its_numbers(utilization, cash_multiple, deals):
    off = {
        "enabled": False,
        "utilization": utilization,
        "cashMultiple": cash_multiple,
        "maxRecycleDeals": deals,
    }
    normalized = example_normalized(scenarioGenConfig={"recyclingConfig": off})
    assert normalized.matrix_key == example_normalized().matrix_key
    assert simulation_inputs(normalized.key_document).recycling == Recycling(False, 0, 1, 0)


def test_independent_sectors_are_one_configuration():
    identity = {"regimeConfig": {"correlationMatrix": [[1, 0], [0, 1]]}}
    assert example_normalized(scenarioGenConfig=identity).matrix_key == example_normalized().matrix_key


def test_a_stage_that_no_bucket_can_reach_does_not_matter():
    changed = {**example_snapshot().transition_stats}
    changed[Stage.SEED] = StageTransitions(exit_rate=0.3, graduate_rate=0.3, failure_rate=0.3)
    from_a = example_document(buckets=[{"stage": "A", "sector": "Bio"}])
    assert key_of(from_a) == key_of(from_a, example_snapshot(transition_stats=changed))
    assert key_of(from_a) == key_of(from_a | {"policy": {"reserveRatioByStage": {"Seed": 0.9}}})

    two_rounds = from_a | {"scenarioGenConfig": {"maxRounds": 2}}
    never_c = {stage: rates for stage, rates in example_snapshot().transition_stats.items() if stage is not Stage.C}
    assert key_of(two_rounds) == key_of(two_rounds, example_snapshot(transition_stats=never_c))


def test_a_sector_that_no_bucket_is_in_does_not_matter():
    multipliers = example_snapshot().sector_multipliers
    only_bio = example_document(buckets={"sectors": ["Bio"]})
    without_saas = example_snapshot(sector_multipliers={"Bio": multipliers["Bio"]}, sectors={"Bio": 1})
    assert key_of(only_bio) == key_of(only_bio, without_saas)


# Another meaning, another key


def another(place: tuple[Any, ...], value: Any) -> Any:
    """A legal value other than `value`, at least 1e-6 away where it is a number."""
    if place[-1] == "roundsToExit" or "roundsToExitByStage" in place:
        return value - 1
    strings = {
        "fundId": "00000000-0000-4000-8000-000000000001",
        "stage": "B",
        "relaxationMode": "off",
        "taxonomyVersion": "v2",
        "name": "another",
    }
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return strings[place[-1]]
    if place[-1] in COUNTS or place[-1] in ("validationScenarios", "workLimit"):
        return value + 1
    return round(value + (1e-6 if value < 0.999 or value > 1.001 else -1e-6), 6)


MOVED_BY_OTHER_TESTS = {
    "modelVersion": "it decides what else is read, see below",
    "varianceShares": "two must move at once, see below",
    "calibrationVersion": "it names the snapshot, see below",
    "sector": "sectors are named in several places, see below",
    "sectors": "see sector",
    "probability": "two must move at once, see below",
    "values": "two must move at once, see below",
}
LEAVES = [(place, value) for place, value in leaves(FULL) if not any(step in MOVED_BY_OTHER_TESTS for step in place)]


@pytest.mark.parametrize(
    ("place", "value"), LEAVES, ids=lambda part: "-".join(map(str, part)) if isinstance(part, tuple) else ""
)
def test_every_value_of_a_request_moves_the_key_exactly_when_it_moves_the_matrix(place, value):
    changed = key_of(replaced(FULL, place, another(place, value)))
    assert (changed == FULL_KEY) == (place[0] in DOES_NOT_MOVE_THE_MATRIX)


def test_probabilities_and_correlations_move_the_key():
    regimes = replaced(FULL, ("scenarioGenConfig", "regimeConfig", "regimes", 0, "probability"), 0.600001)
    regimes = replaced(regimes, ("scenarioGenConfig", "regimeConfig", "regimes", 1, "probability"), 0.399999)
    matrix = ("scenarioGenConfig", "regimeConfig", "correlationMatrix", "values")
    keys = {FULL_KEY, key_of(regimes)}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        keys.add(key_of(replaced(replaced(FULL, (*matrix, i, j), 0.25), (*matrix, j, i), 0.25)))
    assert len(keys) == 5


def test_shares_of_variance_move_the_key():
    shares = ("scenarioGenConfig", "varianceShares")
    more_regime = {"regime": 0.450001, "sector": 0.289999, "own": 0.26}
    more_sector = {"regime": 0.45, "sector": 0.290001, "own": 0.259999}
    assert (
        len({FULL_KEY, key_of(replaced(FULL, shares, more_regime)), key_of(replaced(FULL, shares, more_sector))}) == 3
    )


V2_ALONE = ["companiesPerBucket", "varianceShares", "shareGroupSize", "transitionCorrelation", "outcomeCap"]


def test_the_key_of_the_first_model_does_not_depend_on_what_only_the_second_one_reads():
    first = FULL | {"modelVersion": "three_component_v1"}
    worlds = first["scenarioGenConfig"]
    recycling = {name: value for name, value in worlds["recyclingConfig"].items() if name != "recyclingCap"}
    bare = {name: value for name, value in worlds.items() if name not in V2_ALONE} | {"recyclingConfig": recycling}
    assert key_of(first) == key_of(first | {"scenarioGenConfig": bare}) != FULL_KEY


def test_reference_regimes_of_the_calibration_move_the_key():
    regimes = [
        {"name": name, "probability": 0.5, "shock_min": low, "shock_max": low + 0.5}
        for name, low in (("b", 0), ("a", -1))
    ]
    snapshot = CalibrationSnapshot.model_validate(SNAPSHOT | {"reference_regimes": regimes})
    turned = CalibrationSnapshot.model_validate(SNAPSHOT | {"reference_regimes": regimes[::-1]})
    assert key_of(example_document(), snapshot) == key_of(example_document(), turned) != key_of(example_document())


def test_the_name_of_a_sector_and_which_sector_a_correlation_belongs_to_move_the_key():
    buckets = [{"stage": "A", "sector": sector} for sector in ("x", "y", "z")]
    values = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]

    def labelled(*sectors: str) -> dict[str, Any]:
        matrix = {"sectors": list(sectors), "values": values}
        return example_document(buckets=buckets, scenarioGenConfig={"regimeConfig": {"correlationMatrix": matrix}})

    assert key_of(labelled("x", "y", "z")) == key_of(labelled("y", "x", "z"))
    assert key_of(labelled("x", "y", "z")) != key_of(labelled("x", "z", "y"))
    assert key_of(example_document(buckets=buckets[:1])) != key_of(example_document(buckets=buckets[1:2]))


SNAPSHOT = example_snapshot().model_dump(mode="json")
MEASURED = {"transition_stats", "exit_outcomes", "deal_terms", "cap_table", "sector_multipliers"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (place, value)
        for place, value in leaves(SNAPSHOT)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ],
    ids=lambda part: "-".join(map(str, part)) if isinstance(part, tuple) else "",
)
def test_every_figure_of_the_calibration_moves_the_key_exactly_when_it_moves_the_matrix(place, value):
    step = 1e-6 if place[0] in MEASURED and place[-1] != "rounds_to_exit" else 1
    snapshot = CalibrationSnapshot.model_validate(replaced(SNAPSHOT, place, value + step))
    moved = key_of(example_document(), snapshot) != key_of(example_document())
    assert moved == (place[0] in MEASURED)


def test_another_calibration_version_is_another_key():
    assert key_of(example_document(), example_snapshot(version="example-2")) != key_of(example_document())
