"""The result as a model: frozen, strict, the same after JSON, and every field of it described."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from api.app import create_app
from core.result import model, reports
from core.result.model import SCHEMA_VERSION, MatrixResult, Optimization, Result, StoredValidation
from db.engine import make_engine
from db.results import session_result
from db.settings import Settings
from tests.unit.result.documents import STORED, golden, optimized_session, stored_session

MODELS = {
    one
    for module in (model, reports)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, BaseModel)
}


@pytest.fixture(scope="module")
def result() -> Result:
    return session_result(optimized_session({"totalFundSize": 10_000_000}))


@pytest.mark.parametrize("name", STORED)
def test_a_result_survives_json(name: str, result: Result) -> None:
    for one in (result, session_result(stored_session(name))):
        assert Result.model_validate(one.as_json()) == one
        assert Result.model_validate_json(json.dumps(one.as_json(), allow_nan=False)) == one


@pytest.mark.parametrize("of", sorted(MODELS, key=lambda one: one.__name__), ids=lambda one: one.__name__)
def test_every_part_is_frozen_and_every_field_of_it_is_described(of: type[BaseModel]) -> None:
    assert of.model_config["frozen"] is True
    assert [name for name, field in of.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("schema", ["Result", "Verdict", "VerdictLimit", "Validation", "Solver", "LimitedEstimate"])
def test_the_openapi_document_describes_every_field_of_a_result(schema: str) -> None:
    # The document does not depend on the database; nothing connects to this one.
    document = create_app(make_engine("postgresql://127.0.0.1:1/none"), Settings(home="/nowhere")).openapi()
    properties = document["components"]["schemas"][schema]["properties"]
    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_a_result_cannot_be_changed(result: Result) -> None:
    with pytest.raises(ValidationError):
        result.cvar = 0.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        result.verdict.limits[0].status = "holds"  # type: ignore[misc]


@pytest.mark.parametrize("place", [(), ("verdict",), ("verdict", "limits", 0), ("validation",), ("allocation", 0)])
def test_unknown_keys_are_refused(result: Result, place: tuple[Any, ...]) -> None:
    document = result.as_json()
    node = document
    for step in place:
        node = node[step]
    node["surprise"] = 1
    with pytest.raises(ValidationError, match="surprise"):
        Result.model_validate(document)


def test_what_is_stored_says_its_schema_version_and_what_says_none_is_version_1(result: Result) -> None:
    assert (result.schema_version, result.as_json()["schemaVersion"]) == (SCHEMA_VERSION, 2)
    session = optimized_session({"totalFundSize": 10_000_000})
    assert session.solver_metadata is not None
    assert session.validation_metrics is not None
    for stored in (session.solver_metadata, session.validation_metrics):
        assert stored["schemaVersion"] == SCHEMA_VERSION
    before = golden("fund")
    assert Optimization.model_validate(before["solverMetadata"]).schema_version == 1
    old = StoredValidation.model_validate(before["validationMetrics"])
    assert (old.schema_version, old.verdict) == (1, None)


def test_json_keys_are_camel_case_and_limits_stay_as_they_are_stored(result: Result) -> None:
    assert not [key for key in MatrixResult.model_json_schema(by_alias=True)["properties"] if "_" in key]
    assert not [key for key in result.as_json() if "_" in key]
    enforced = Optimization.model_validate(golden("fund")["solverMetadata"]).as_json()["limits"]
    assert enforced == golden("fund")["solverMetadata"]["limits"]
