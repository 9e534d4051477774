"""The request: what is read, what is refused and in which words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.request import OptimizationRequest, parse_request, parse_request_text, request_hash
from tests.unit.core.examples import FUND_ID, example_document, leaves, replaced

SNAKE_CASE: dict[str, Any] = {
    "fund_id": FUND_ID,
    "total_fund_size": 100_000_000,
    "max_loss_probability": 0.3,
    "cvar_confidence_level": 0.9,
    "cvar_limit": 0.5,
    "min_expected_winners": 1.5,
    "sector_bounds": {"deep_tech": {"min": 0.1, "max": 0.9}},
    "stage_bounds": {"Seed": {"max": 0.8}},
    "bucket_max_weight": 0.6,
    "buckets": [
        {
            "stage": "Seed",
            "sector": "deep_tech",
            "median_moic": 3,
            "p90_moic": 12,
            "reserve_ratio": 0.4,
            "initial_check_size": 1e6,
            "check_size_cv": 0.2,
            "rounds_to_exit": 4,
            "sector_risk_multiplier": 1.1,
            "sector_return_multiplier": 0.9,
        },
        {"stage": "A", "sector": "deep_tech"},
    ],
    "scenario_gen_config": {
        "scenario_count": 200,
        "regime_config": {
            "regimes": [{"name": "only_one", "probability": 1, "shock_ranges": {"min": -0.5, "max": 0.5}}],
            "correlation_matrix": {"sectors": ["deep_tech"], "values": [[1]]},
        },
        "recycling_config": {
            "enabled": True,
            "utilization": 0.4,
            "cash_multiple": 1.1,
            "max_recycle_deals": 2,
            "recycling_cap": 0.3,
        },
        "max_rounds": 8,
        "winner_multiple": 5,
        "companies_per_bucket": 7,
        "variance_shares": {"regime": 0.45, "sector": 0.29, "own": 0.26},
        "share_group_size": 20,
        "transition_correlation": 0.1,
        "outcome_cap": 200,
    },
    "policy": {
        "reserve_ratio_by_stage": {"Seed": 0.6},
        "initial_check_size_by_stage": {"Seed": 2e6},
        "check_size_cv_by_stage": {"Seed": 0.1},
        "rounds_to_exit_by_stage": {"Seed": 3},
        "dilution_per_round_pct": 0.2,
        "option_pool_refresh_pct": 0.05,
        "pro_rata_participation_rate": 0.5,
        "sector_risk_multipliers": {"deep_tech": 1.2},
        "sector_return_multipliers": {"deep_tech": 1.3},
    },
    "taxonomy_version": "v2",
    "model_version": "three_component_v2",
    "calibration_version": "example-1",
    "relaxation_mode": "off",
    "primary_lock_epsilon": 0,
    "validation_scenarios": 1000,
    "work_limit": 10,
}
"""Every field of a request, with a sector whose name looks like a field's."""

CAMEL_CASE: dict[str, Any] = {
    "fundId": FUND_ID,
    "totalFundSize": 100_000_000,
    "maxLossProbability": 0.3,
    "cvarConfidenceLevel": 0.9,
    "cvarLimit": 0.5,
    "minExpectedWinners": 1.5,
    "sectorBounds": {"deep_tech": {"min": 0.1, "max": 0.9}},
    "stageBounds": {"Seed": {"max": 0.8}},
    "bucketMaxWeight": 0.6,
    "buckets": [
        {
            "stage": "Seed",
            "sector": "deep_tech",
            "medianMoic": 3,
            "p90Moic": 12,
            "reserveRatio": 0.4,
            "initialCheckSize": 1e6,
            "checkSizeCv": 0.2,
            "roundsToExit": 4,
            "sectorRiskMultiplier": 1.1,
            "sectorReturnMultiplier": 0.9,
        },
        {"stage": "A", "sector": "deep_tech"},
    ],
    "scenarioGenConfig": {
        "scenarioCount": 200,
        "regimeConfig": {
            "regimes": [{"name": "only_one", "probability": 1, "shockRanges": {"min": -0.5, "max": 0.5}}],
            "correlationMatrix": {"sectors": ["deep_tech"], "values": [[1]]},
        },
        "recyclingConfig": {
            "enabled": True,
            "utilization": 0.4,
            "cashMultiple": 1.1,
            "maxRecycleDeals": 2,
            "recyclingCap": 0.3,
        },
        "maxRounds": 8,
        "winnerMultiple": 5,
        "companiesPerBucket": 7,
        "varianceShares": {"regime": 0.45, "sector": 0.29, "own": 0.26},
        "shareGroupSize": 20,
        "transitionCorrelation": 0.1,
        "outcomeCap": 200,
    },
    "policy": {
        "reserveRatioByStage": {"Seed": 0.6},
        "initialCheckSizeByStage": {"Seed": 2e6},
        "checkSizeCvByStage": {"Seed": 0.1},
        "roundsToExitByStage": {"Seed": 3},
        "dilutionPerRoundPct": 0.2,
        "optionPoolRefreshPct": 0.05,
        "proRataParticipationRate": 0.5,
        "sectorRiskMultipliers": {"deep_tech": 1.2},
        "sectorReturnMultipliers": {"deep_tech": 1.3},
    },
    "taxonomyVersion": "v2",
    "modelVersion": "three_component_v2",
    "calibrationVersion": "example-1",
    "relaxationMode": "off",
    "primaryLockEpsilon": 0,
    "validationScenarios": 1000,
    "workLimit": 10,
}


# What is read


def test_both_spellings_are_the_same_request_at_every_level():
    assert parse_request(SNAKE_CASE) == parse_request(CAMEL_CASE)


def test_a_request_is_written_in_camel_case_and_reads_back_as_itself():
    request = parse_request(SNAKE_CASE)
    assert request.model_dump(mode="json", by_alias=True, exclude_unset=True) == CAMEL_CASE
    assert parse_request(request.model_dump(mode="json", by_alias=True)) == request


def test_the_spelling_of_the_original_design_is_read():
    bucket = {"stage": "Seed", "sector": "SaaS", "medianMOIC": 3, "p90MOIC": 12, "checkSizeCV": 0.2}
    (read,) = parse_request(example_document(buckets=[bucket])).buckets
    assert (read.median_moic, read.p90_moic, read.check_size_cv) == (3, 12, 0.2)


def test_absent_fields_take_the_documented_defaults():
    request = parse_request(example_document())
    assert request.cvar_confidence_level == 0.95
    assert request.min_expected_winners == 0
    assert request.bucket_max_weight is None
    assert request.buckets is None
    assert request.taxonomy_version == "v1"
    assert request.model_version == "three_component_v2"
    assert request.relaxation_mode == "minimal"
    assert request.primary_lock_epsilon == 0.001
    assert request.validation_scenarios == 5_000
    assert request.work_limit == 60_000
    worlds = request.scenario_gen_config
    assert (worlds.scenario_count, worlds.max_rounds, worlds.winner_multiple) == (400, 10, 10)
    assert not worlds.recycling_config.enabled
    assert [
        (regime.name, regime.probability, regime.shock_ranges.min, regime.shock_ranges.max)
        for regime in worlds.regime_config.regimes
    ] == [("base", 0.5, -0.3, 0.3), ("boom", 0.25, 0.3, 1.0), ("recession", 0.25, -1.0, -0.3)]


def test_whole_numbers_and_decimals_are_the_same_number():
    whole = parse_request(example_document(totalFundSize=5, scenarioGenConfig={"scenarioCount": 300}))
    decimal = parse_request(example_document(totalFundSize=5.0, scenarioGenConfig={"scenarioCount": 300.0}))
    assert whole == decimal
    assert request_hash(whole) == request_hash(decimal)


def test_three_regimes_of_a_third_to_six_decimals_are_accepted():
    regimes = [
        {"name": name, "probability": 0.333333, "shockRanges": {"min": -0.1, "max": 0.1}} for name in ("a", "b", "c")
    ]
    request = parse_request(example_document(scenarioGenConfig={"regimeConfig": {"regimes": regimes}}))
    assert math.fsum(regime.probability for regime in request.scenario_gen_config.regime_config.regimes) < 1


def test_the_hash_is_one_for_both_spellings_and_any_order_of_keys():
    expected = request_hash(parse_request(CAMEL_CASE))
    assert request_hash(parse_request(SNAKE_CASE)) == expected
    assert request_hash(parse_request(dict(reversed(CAMEL_CASE.items())))) == expected


def test_the_hash_covers_what_was_said_and_not_what_defaults_would_add():
    silent, explicit = parse_request(example_document()), parse_request(example_document(workLimit=60_000))
    assert silent == explicit
    assert request_hash(silent) != request_hash(explicit)


def test_every_value_of_a_request_is_in_its_hash():
    hashes = {request_hash(parse_request(CAMEL_CASE))}
    for place, value in leaves(CAMEL_CASE):
        if isinstance(value, bool):
            other: object = not value
        elif isinstance(value, int | float):
            other = 0.95 if place[-1] in ("probability", 0) else value + 1 if value >= 2 else value / 2 + 0.001
        else:
            continue
        try:
            hashes.add(request_hash(parse_request(replaced(CAMEL_CASE, place, other))))
        except BadInput:  # the one regime's probability, the correlation of the one sector, one of three shares
            assert place[-1] in ("probability", 0, "regime", "sector", "own")
            continue
    assert len(hashes) == 1 + sum(isinstance(value, int | float) for _, value in leaves(CAMEL_CASE)) - 5


# The JSON Schema is the documentation


def described_properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, model in [("OptimizationRequest", schema), *schema["$defs"].items()]:
        for field, description in model.get("properties", {}).items():
            yield f"{name}.{field}", description


def test_every_field_is_documented_with_its_meaning():
    undocumented = [
        name
        for name, field in described_properties(OptimizationRequest.model_json_schema())
        if len(field.get("description", "")) < 10
    ]
    assert undocumented == []


def test_every_number_is_documented_with_its_range():
    limits = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    unlimited = [
        name
        for name, field in described_properties(OptimizationRequest.model_json_schema())
        for form in [field, *field.get("anyOf", [])]
        if form.get("type") in ("number", "integer") and not limits & set(form)
    ]
    assert unlimited == []


def test_the_schema_speaks_camel_case_in_its_defaults_too():
    schema = json.dumps(OptimizationRequest.model_json_schema())
    assert "_by_stage" not in schema
    assert "shock_ranges" not in schema
    assert '"shockRanges": {"min"' in schema or '"shockRanges": {"max"' in schema


# What is refused


def regimes(*probabilities: float, name: str | None = None) -> dict[str, Any]:
    listed = [
        {"name": name or f"r{i}", "probability": probability, "shockRanges": {"min": -0.1, "max": 0.1}}
        for i, probability in enumerate(probabilities)
    ]
    return {"scenarioGenConfig": {"regimeConfig": {"regimes": listed}}}


def correlation(matrix: object) -> dict[str, Any]:
    return {"scenarioGenConfig": {"regimeConfig": {"correlationMatrix": matrix}}}


def worlds(**fields: object) -> dict[str, Any]:
    return {"scenarioGenConfig": fields}


def one_bucket(**fields: object) -> dict[str, Any]:
    return {"buckets": [{"stage": "Seed", "sector": "SaaS"} | fields]}


NAN, INFINITY = float("nan"), float("inf")
REGIMES = "scenarioGenConfig.regimeConfig.regimes"
CORRELATION = "scenarioGenConfig.regimeConfig.correlationMatrix"

SHARES = "scenarioGenConfig.varianceShares"


REFUSED: list[tuple[dict[str, Any], str, object, str]] = [
    ({"fundId": "mine"}, "fundId", "mine", "UUID"),
    ({"fundId": 7}, "fundId", 7, "UUID"),
    ({"totalFundSize": True}, "totalFundSize", True, "must be a number"),
    ({"totalFundSize": "1e8"}, "totalFundSize", "1e8", "must be a number"),
    ({"totalFundSize": None}, "totalFundSize", None, "must be a number"),
    ({"totalFundSize": 0}, "totalFundSize", 0, "above 0"),
    ({"totalFundSize": INFINITY}, "totalFundSize", INFINITY, "finite"),
    ({"totalFundSize": 10**400}, "totalFundSize", 10**400, "must be a number"),
    ({"maxLossProbability": 1.01}, "maxLossProbability", 1.01, "at most 1"),
    ({"maxLossProbability": -0.01}, "maxLossProbability", -0.01, "at least 0"),
    ({"cvarConfidenceLevel": 1}, "cvarConfidenceLevel", 1, "below 1"),
    ({"cvarLimit": 30}, "cvarLimit", 30, "at most 1"),
    ({"minExpectedWinners": -1}, "minExpectedWinners", -1, "at least 0"),
    ({"bucketMaxWeight": 15}, "bucketMaxWeight", 15, "at most 1"),
    ({"sectorBounds": {"SaaS": {"min": 0.6, "max": 0.5}}}, "sectorBounds.SaaS.min", 0.6, "exceed max (0.5)"),
    ({"sectorBounds": {"a": {"min": 0.6}, "b": {"min": 0.5}}}, "sectorBounds", 1.1, "sum of the minima"),
    ({"stageBounds": {"Seed": {"min": 0.6}, "A": {"min": 0.5}}}, "stageBounds", 1.1, "sum of the minima"),
    ({"stageBounds": {"Series A": {"min": 0.6}}}, "stageBounds.Series A", "Series A", "'Seed', 'A', 'B' or 'C'"),
    ({"sectorBounds": {"SaaS": {"maxx": 1}}}, "sectorBounds.SaaS.maxx", 1, "not a field"),
    ({"sectorBounds": [0.1]}, "sectorBounds", [0.1], "must be an object"),
    ({"sectorBounds": {"a\tb": {}}}, "sectorBounds.'a\\tb'", "a\tb", "printable"),
    ({"buckets": "all"}, "buckets", "all", "a list of buckets, or an object"),
    ({"buckets": []}, "buckets", [], "not be empty"),
    ({"buckets": ["Seed_SaaS"]}, "buckets[0]", "Seed_SaaS", "must be an object"),
    ({"buckets": {"stages": ["Seed", "Seed"]}}, "buckets.stages", "Seed", "twice"),
    ({"buckets": {"sectors": ["SaaS", "SaaS"]}}, "buckets.sectors", "SaaS", "twice"),
    ({"buckets": {"sectors": []}}, "buckets.sectors", [], "not be empty"),
    ({"buckets": {"stages": ["D"]}}, "buckets.stages[0]", "D", "'Seed', 'A', 'B' or 'C'"),
    ({"buckets": one_bucket()["buckets"] * 2}, "buckets[1]", "Seed_SaaS", "bucket [0]"),
    (one_bucket(stage="seed"), "buckets[0].stage", "seed", "'Seed', 'A', 'B' or 'C'"),
    (one_bucket(sector=""), "buckets[0].sector", "", "printable"),
    (one_bucket(sector=" SaaS"), "buckets[0].sector", " SaaS", "space"),
    (one_bucket(sector="S" * 61), "buckets[0].sector", "S" * 61, "1 to 60"),
    (one_bucket(sector="\ud800"), "buckets[0].sector", "\ud800", ""),
    (one_bucket(median_moic=0), "buckets[0].medianMoic", 0, "above 0"),
    (one_bucket(p90MOIC=NAN), "buckets[0].p90Moic", NAN, "finite"),
    (one_bucket(reserveRatio=-0.1), "buckets[0].reserveRatio", -0.1, "at least 0"),
    (one_bucket(initial_check_size=-1), "buckets[0].initialCheckSize", -1, "above 0"),
    (worlds(scenarioCount=0), "scenarioGenConfig.scenarioCount", 0, "at least 1"),
    (worlds(scenarioCount=100_001), "scenarioGenConfig.scenarioCount", 100_001, "at most 100,000"),
    (worlds(scenarioCount=1.5), "scenarioGenConfig.scenarioCount", 1.5, "whole number"),
    (worlds(scenarioCount=True), "scenarioGenConfig.scenarioCount", True, "whole number"),
    (worlds(maxRounds=0), "scenarioGenConfig.maxRounds", 0, "at least 1"),
    (worlds(winnerMultiple=0), "scenarioGenConfig.winnerMultiple", 0, "above 0"),
    (worlds(recyclingConfig={"enabled": 1}), "scenarioGenConfig.recyclingConfig.enabled", 1, "true or false"),
    (
        worlds(recyclingConfig={"maxRecycleDeals": -1}),
        "scenarioGenConfig.recyclingConfig.maxRecycleDeals",
        -1,
        "at least 0",
    ),
    (regimes(), REGIMES, [], "not be empty"),
    (regimes(0.5, 0.4), REGIMES, 0.9, "must be 1"),
    (regimes(0.5, 0.500002), REGIMES, 1.000002, "must be 1"),
    (regimes(0.5, 1.5), f"{REGIMES}[1].probability", 1.5, "at most 1"),
    (regimes(0.5, 0.5, name="base"), REGIMES, "base", "unique"),
    (correlation(3), CORRELATION, 3, "a list of rows, or an object"),
    (correlation([]), CORRELATION, [], "rows"),
    (correlation([[1, 0.5]]), f"{CORRELATION}[0]", [1.0, 0.5], "1 entries"),
    (correlation([[1, 0.5], [0.4, 1]]), f"{CORRELATION}[1][0]", 0.4, "symmetric"),
    (correlation([[0.9, 0], [0, 1]]), f"{CORRELATION}[0][0]", 0.9, "must be 1"),
    (correlation([[1, 1.5], [1, 1]]), f"{CORRELATION}[0][1]", 1.5, "at most 1"),
    (correlation({"sectors": ["a", "b"], "values": [[1]]}), f"{CORRELATION}.sectors", ["a", "b"], "rows of values (1)"),
    (correlation({"sectors": ["a"] * 2, "values": [[1, 0], [0, 1]]}), f"{CORRELATION}.sectors", "a", "twice"),
    ({"policy": {"reserveRatioByStage": {"D": 1}}}, "policy.reserveRatioByStage.D", "D", "'Seed', 'A', 'B' or 'C'"),
    ({"policy": {"dilution_per_round_pct": 18}}, "policy.dilutionPerRoundPct", 18, "below 1"),
    ({"modelVersion": "v9"}, "modelVersion", "v9", "'three_component_v2' or 'three_component_v1'"),
    (worlds(companiesPerBucket=0), "scenarioGenConfig.companiesPerBucket", 0, "at least 1"),
    (worlds(varianceShares={"regime": 0.39}), f"{SHARES}.regime", 0.39, "at least 0.4"),
    (worlds(varianceShares={"sector": 0.31}), f"{SHARES}.sector", 0.31, "at most 0.3"),
    (worlds(varianceShares={"regime": 0.51}), SHARES, 1.01, "it must be 1"),
    (worlds(shareGroupSize=0.5), "scenarioGenConfig.shareGroupSize", 0.5, "at least 1"),
    (worlds(transitionCorrelation=1), "scenarioGenConfig.transitionCorrelation", 1, "below 1"),
    (worlds(outcomeCap=0), "scenarioGenConfig.outcomeCap", 0, "above 0"),
    (
        worlds(recyclingConfig={"recyclingCap": -0.1}),
        "scenarioGenConfig.recyclingConfig.recyclingCap",
        -0.1,
        "at least 0",
    ),
    ({"relaxationMode": "some"}, "relaxationMode", "some", "'minimal' or 'off'"),
    ({"primaryLockEpsilon": -1}, "primaryLockEpsilon", -1, "at least 0"),
    ({"validationScenarios": 99}, "validationScenarios", 99, "at least 100"),
    ({"workLimit": 0}, "workLimit", 0, "at least 1"),
    ({"taxonomyVersion": 2}, "taxonomyVersion", 2, "must be text"),
    ({"maxLossProb": 0.1}, "maxLossProb", 0.1, "not a field"),
]


@pytest.mark.parametrize(("changes", "field", "value", "rule"), REFUSED, ids=lambda part: str(part)[:50])
def test_bad_input_is_refused_by_field_value_and_rule(changes, field, value, rule):
    with pytest.raises(BadInput) as refused:
        parse_request(example_document() | changes)
    (problem,) = refused.value.problems
    assert problem.field == field
    assert problem.value == (pytest.approx(value, nan_ok=True) if isinstance(value, float) else value)
    assert rule in problem.rule


def test_the_smallest_eigenvalue_of_an_impossible_correlation_is_named():
    impossible = [[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]
    with pytest.raises(BadInput) as refused:
        parse_request(example_document() | correlation(impossible))
    (problem,) = refused.value.problems
    assert problem.field == CORRELATION
    assert problem.value == pytest.approx(-0.8)  # 1 - 2 * 0.9, the eigenvector (1, -1, -1)
    assert "eigenvalue" in problem.rule


def test_a_correlation_that_only_rounding_makes_indefinite_is_accepted():
    exact = 1 / math.sqrt(2)  # three vectors at 0, 45 and 90 degrees: smallest eigenvalue exactly 0
    parse_request(example_document() | correlation([[1, exact, 0], [exact, 1, exact], [0, exact, 1]]))


def test_the_same_field_in_both_spellings_is_refused():
    with pytest.raises(BadInput, match="other spelling"):
        parse_request(example_document() | {"total_fund_size": 5})


def test_a_missing_field_is_named():
    document = example_document()
    del document["cvarLimit"]
    with pytest.raises(BadInput, match=r"^cvarLimit = None: is required$"):
        parse_request(document)


@pytest.mark.parametrize("document", [[], None, "request", 3])
def test_a_document_that_is_no_object_is_refused(document):
    with pytest.raises(BadInput, match=r"^request = .*must be an object"):
        parse_request(document)


def test_every_problem_is_reported_at_once():
    with pytest.raises(BadInput) as refused:
        parse_request(
            example_document(
                totalFundSize=-1,
                sectorBounds={"a": {"min": 0.7}, "b": {"min": 0.7}},
                stageBounds={"Seed": {"min": 0.9, "max": 0.1}, "X": {}},
                surprise=1,
                buckets=[{"stage": "D", "sector": "a", "p90MOIC": -1}, {"sector": "a"}],
            )
            | regimes(0.5, 0.4, name="base")
            | {"cvarLimit": "much"}
        )
    assert {problem.field for problem in refused.value.problems} == {
        "totalFundSize",
        "sectorBounds",
        "stageBounds.Seed.min",
        "stageBounds.X",
        "surprise",
        "buckets[0].stage",
        "buckets[0].p90Moic",
        "buckets[1].stage",
        REGIMES,
        "cvarLimit",
    }
    assert [problem.value for problem in refused.value.problems if problem.field == REGIMES] == ["base", 0.9]


# JSON text


def test_a_request_in_json_text_is_read():
    assert parse_request_text(json.dumps(CAMEL_CASE)) == parse_request(CAMEL_CASE)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "line 1, column 1"),
        ('{\n  "fundId": "x",\n  "cvarLimit": .5\n}', "line 3, column 16"),
        ("{'fundId': 1}", "line 1, column 2"),
        ('{"fundId": "x"} {}', "line 1, column 17"),
        ("[" * 100_000, "nested deeper"),
        ("[" * 40 + "]" * 40, "nested deeper"),
        ("9" * 5_000, "too many digits"),
    ],
)
def test_broken_json_is_refused_with_its_place(text, rule):
    with pytest.raises(BadInput) as refused:
        parse_request_text(text)
    (problem,) = refused.value.problems
    assert problem.field == "request"
    assert rule in problem.rule


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_in_json_text(literal):
    text = json.dumps(example_document()).replace("0.3", literal)
    with pytest.raises(BadInput) as refused:
        parse_request_text(text)
    assert [(problem.field, problem.rule) for problem in refused.value.problems] == [
        ("maxLossProbability", "must be a finite number")
    ]


def test_keys_given_twice_are_refused_with_their_places():
    text = '{"cvar_limit": 1, "cvar_limit": 2, "buckets": [{}, {"stage": "A", "stage": "B"}]}'
    with pytest.raises(BadInput) as refused:
        parse_request_text(text)
    assert [(problem.field, problem.value) for problem in refused.value.problems] == [
        ("cvarLimit", 2),
        ("buckets[1].stage", "B"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([place for place, _ in leaves(CAMEL_CASE)]), st.integers(0, 4), json_values)
def test_whatever_stands_in_a_request_it_is_read_or_refused_as_bad_input(place, depth, value):
    document = replaced(CAMEL_CASE, place[: max(len(place) - depth, 1)], value)
    with suppress(BadInput):  # anything else that is raised fails the test
        read = parse_request(document)
        assert parse_request(read.model_dump(mode="json", by_alias=True)) == read


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_arbitrary_text_is_never_more_than_bad_input(text):
    with pytest.raises(BadInput):
        parse_request_text(text)
