"""The form and the request's model say the same, whatever a request holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.page.comparison import request_differences
from api.page.form import GROUPS, FormContext, all_inputs, form_groups
from api.page.form_reading import placed, submitted_document
from api.page.form_text import in_percent, shown, typed
from api.page.request_pages import example_request
from core.errors import BadInput
from core.request import parse_request
from core.request.model import OptimizationRequest
from tests.small_request import SMALL

CONTEXT = FormContext(["AI", "Health"], ["newest"])
RICH: dict[str, Any] = {
    **SMALL,
    "sectorBounds": {"AI": {"max": 0.6}, "Health": {"min": 0.07}},
    "stageBounds": {"Seed": {"min": 0.1, "max": 0.7}},
    "policy": {"reserveRatioByStage": {"A": 0.4}, "sectorRiskMultipliers": {"AI": 1.25}, "dilutionPerRoundPct": 0.18},
    "scenarioGenConfig": {
        "scenarioCount": 40,
        "recyclingConfig": {"enabled": True},
        "regimeConfig": {
            "regimes": [
                {"name": "calm", "probability": 0.7, "shockRanges": {"min": -0.2, "max": 0.2}},
                {"name": "storm", "probability": 0.3, "shockRanges": {"min": -1, "max": -0.5}},
            ],
            "correlationMatrix": [[1, 0.2], [0.2, 1]],
        },
    },
    "relaxationMode": "off",
}


def sent(document: dict[str, Any]) -> dict[str, list[str]]:
    """What a browser sends for a form that nobody has changed."""
    return {
        one.path: one.value.splitlines() if one.kind == "checks" else [one.value]
        for one in all_inputs(form_groups(document, CONTEXT))
    }


@pytest.mark.parametrize("document", [SMALL, RICH, {**SMALL, "buckets": [{"stage": "A", "sector": "AI"}]}])
def test_a_form_sent_unchanged_is_the_request_it_was_filled_with(document: dict[str, Any]) -> None:
    assert parse_request(submitted_document(sent(document), CONTEXT)) == parse_request(document)


def test_every_field_of_the_model_is_in_the_form() -> None:
    paths = {one.path for one in all_inputs(form_groups({}, CONTEXT))}

    def leaves(schema: dict[str, Any], place: str) -> set[str]:
        found = set()
        for name, field in schema.get("properties", {}).items():
            path = f"{place}.{name}" if place else name
            target = field.get("$ref", "").rpartition("/")[2]
            inner = leaves(definitions[target], path) if target in definitions else set()
            found |= inner or {path}
        return found

    document = OptimizationRequest.model_json_schema(by_alias=True)
    definitions = document["$defs"]
    for field in leaves(document, ""):
        assert any(path == field or path.startswith((f"{field}.", f"{field}[")) for path in paths), field
    named = [name for _, names in GROUPS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= set(OptimizationRequest.model_fields)


def test_descriptions_defaults_and_units_are_the_models() -> None:
    inputs = {one.path: one for one in all_inputs(form_groups({}, CONTEXT))}
    assert inputs["cvarConfidenceLevel"].default == "95"
    assert inputs["cvarConfidenceLevel"].unit == "%"
    assert inputs["scenarioGenConfig.scenarioCount"].default == "400"
    assert inputs["totalFundSize"].unit == "USD"
    assert inputs["totalFundSize"].required
    assert inputs["maxLossProbability"].hint.endswith("0% to 100%")
    assert inputs["relaxationMode"].choices == ("minimal", "off")
    assert inputs["calibrationVersion"].choices == ("newest",)


@given(st.integers(0, 1_000_000))
def test_a_fraction_survives_being_shown_as_per_cent(millionths: int) -> None:
    fraction = millionths / 1_000_000
    assert typed("percent", shown("percent", fraction)) == fraction


@given(st.text())
def test_whatever_is_typed_is_a_number_or_is_left_as_it_was(text: str) -> None:
    for kind in ("number", "percent", "whole"):
        value = typed(kind, text)  # type: ignore[arg-type]
        assert isinstance(value, int | float | str)
        if isinstance(value, float):
            assert abs(value) != float("inf")


@pytest.mark.parametrize(
    "text", ["1e400", "-1e9999999", "nan", "Infinity", "1_0", "0x1", "1,00", "", "$", "1e-9999999"]
)
def test_what_is_no_number_of_a_request_is_left_as_text_or_is_finite(text: str) -> None:
    for kind in ("number", "percent", "whole"):
        value = typed(kind, text)  # type: ignore[arg-type]
        assert isinstance(value, str) or abs(value) < float("inf")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("must be at most 1", "must be at most 100%"),
        ("must not exceed max (0.2)", "must not exceed max (20%)"),
        (
            "must be at least 1/48 = 0.020834, or 48 buckets cannot take all the capital",
            "must be at least 1/48 = 2.0834%, or 48 buckets cannot take all the capital",
        ),
        ("confidence; 0.95 (default) looks at the worst 5%", "confidence; 95% (default) looks at the worst 5%"),
        ("must be a number", "must be a number"),
    ],
)
def test_rules_about_fractions_are_told_in_per_cent(words: str, expected: str) -> None:
    assert in_percent(words) == expected


def test_problems_stand_at_the_input_or_the_nearest_thing_around_it() -> None:
    document = {
        **SMALL,
        "cvarLimit": 2,
        "sectorBounds": {"AI": {"min": 0.7}, "Health": {"min": 0.6}},
        "color": "red",
        "scenarioGenConfig": {"regimeConfig": {"regimes": [{"name": "calm", "probability": 0.5}]}},
    }
    with pytest.raises(BadInput) as refused:
        parse_request(document)
    found = {problem.field: problem for problem in placed(refused.value.problems, form_groups(document, CONTEXT))}
    assert found["cvarLimit"].anchor == "cvarLimit"
    assert found["sectorBounds"].anchor == "sectorBounds"
    assert "must not exceed 100%" in found["sectorBounds"].rule
    assert found["color"].anchor == ""
    regime = "scenarioGenConfig.regimeConfig.regimes"
    assert found[f"{regime}[0].shockRanges"].anchor == regime


def test_a_list_beyond_all_measure_is_not_made_room_for() -> None:
    name = "scenarioGenConfig.regimeConfig.regimes[999999999].name"
    assert "scenarioGenConfig" not in submitted_document({name: ["x"]}, CONTEXT)


def test_the_example_is_the_examples_file() -> None:
    file = json.loads((Path(__file__).parents[3] / "examples" / "fund.json").read_text())
    assert {"fundId": file["fundId"], **example_request()} == file


def test_differences_are_told_in_the_forms_words() -> None:
    told = {one.name: (one.first, one.second) for one in request_differences(SMALL, {**RICH, "cvarLimit": 0.875})}
    assert told["CVaR limit (cvarLimit)"] == ("90%", "87.5%")
    assert told["Stage bounds: min, Seed (stageBounds.Seed.min)"] == ("default", "10%")
    assert not request_differences(RICH, RICH)
