"""Requests that are refused: by field, value and rule, all problems at once."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.request import parse_request, parse_request_text
from tests.unit.core.examples import example_document, leaves, replaced
from tests.unit.core.request_examples import CAMEL_CASE


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
