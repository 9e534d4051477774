"""A stored key document gives the same key and inputs again, and no alteration of it goes unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.canonical import canonical_json
from core.errors import CorruptMatrix
from core.matrix.key import matrix_key, simulation_inputs
from core.simulation.inputs import Recycling
from core.stages import Stage
from tests.unit.core.examples import (
    example_normalized,
    example_snapshot,
    leaves,
    replaced,
)
from tests.unit.core.key_examples import FULL
from tests.unit.core.test_matrix_key import normalize_full


def as_stored(document: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("document", [normalize_full(FULL), example_normalized().key_document], ids=["full", "plain"])
@pytest.mark.parametrize(
    "stored",
    [
        as_stored,
        lambda document: json.loads(canonical_json(document)),
        lambda document: json.loads(json.dumps(document, sort_keys=True)),
    ],
    ids=["json", "rfc8785", "sorted"],
)
def test_a_stored_document_gives_the_same_key_and_the_same_inputs(document, stored):
    assert matrix_key(stored(document)) == matrix_key(document)
    inputs = simulation_inputs(stored(document))
    assert inputs == simulation_inputs(document)
    assert inputs.matrix_key == matrix_key(document)
    assert repr(inputs) == repr(simulation_inputs(document))  # 3.0 stays a float, 3 an int


def test_a_check_too_large_for_exact_integers_survives_storage():
    huge = [{"stage": "Seed", "sector": "Bio", "initialCheckSize": 1e20}]
    document = example_normalized(buckets=huge).key_document
    stored = json.loads(canonical_json(document))
    assert stored["bucket_params"][0]["initial_check_size"] == 10**20
    assert simulation_inputs(stored) == simulation_inputs(document)


def test_the_simulation_reads_every_figure_of_the_document():
    inputs = simulation_inputs(normalize_full(FULL))
    assert [bucket.key for bucket in inputs.buckets] == ["A_Bio", "A_Deep", "Seed_SaaS"]
    assert inputs.buckets[2].initial_check_size == 1_250_000.5
    assert inputs.buckets[2].stage is Stage.SEED
    assert list(inputs.transitions) == list(Stage)
    assert inputs.transitions[Stage.C] == example_snapshot().transition_stats[Stage.C]
    assert [(regime.name, regime.probability) for regime in inputs.regimes] == [("down", 0.4), ("up", 0.6)]
    assert inputs.recycling == Recycling(True, 0.4, 1.1, 2)
    assert inputs.cap_table.dilution_per_round_pct == 0.2
    assert (inputs.scenario_count, inputs.max_rounds, inputs.winner_multiple) == (200, 8, 5)
    assert inputs.correlation == (("Bio", "Deep", "SaaS"), ((1, 0.3, 0.2), (0.3, 1, 0.1), (0.2, 0.1, 1)))


def parameter_leaves() -> Iterator[tuple[Any, ...]]:
    document = normalize_full(FULL)
    for part in ("bucket_params", "policy_params"):
        yield from (place for place, _ in leaves(document[part], (part,)))


@pytest.mark.parametrize("place", list(parameter_leaves()), ids=lambda place: "-".join(map(str, place)))
def test_no_parameter_can_be_altered_in_a_stored_document_without_being_noticed(place):
    document = normalize_full(FULL)
    value: Any = document
    for step in place:
        value = value[step]
    altered = not value if isinstance(value, bool) else f"{value}x" if isinstance(value, str) else value + 1e-6
    with pytest.raises(CorruptMatrix, match=place[0]):
        simulation_inputs(replaced(document, place, altered))


@pytest.mark.parametrize("field", sorted(example_normalized().key_document["key"]))
def test_every_field_of_the_key_is_hashed(field):
    document = example_normalized().key_document
    assert matrix_key(replaced(document, ("key", field), "other")) != matrix_key(document)


@pytest.mark.parametrize("document", [{}, {"key": {}, "bucket_params": [], "policy_params": {}}, {"key": None}])
def test_an_incomplete_document_is_refused(document):
    with pytest.raises(CorruptMatrix):
        simulation_inputs({"bucket_params": [], "policy_params": {}} | document)


def test_a_document_of_another_schema_is_refused():
    document = replaced(example_normalized().key_document, ("key", "key_schema_version"), "v1.1")
    with pytest.raises(CorruptMatrix, match=r"v1\.1"):
        simulation_inputs(document)
