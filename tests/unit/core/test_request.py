"""The request: what is read, what is refused and in which words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from core.errors import BadInput
from core.request import OptimizationRequest, parse_request, request_hash
from tests.unit.core.examples import example_document, leaves, replaced
from tests.unit.core.request_examples import CAMEL_CASE, SNAKE_CASE

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
    assert request.expectations == "distribution"
    assert request.risk_scenarios is None
    assert request.validation_scenarios is None
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
