"""What version 0.1 stored is read, judged and printed; the same requests still give the same figures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from core.matrix.key import simulation_inputs
from core.request.normalized_config import NormalizedConfig
from core.result.assemble import judged
from core.result.build import deals_from, limits_from, weights_from
from core.result.model import SCHEMA_VERSION, Optimization, StoredValidation
from core.result.reports import LargeSampleDocument
from core.risk.large_sample import Judged, JudgedAgainst, large_sample, tally_part
from core.simulation.block_ranges import BlockRange
from db.results import session_result, stored_allocation, stored_optimization, stored_weights
from deployments.cli import stress_command
from tests.unit.result.documents import SESSION, STORED, golden, optimized_session, stored_session

ADDED = {"schemaVersion", "verdict"}


@pytest.fixture(params=STORED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


SINCE_THEN = {"expectations": {"source": "sample", "standardError": None}, "evenSectors": []}
"""What keys that version 0.1 did not have say of its results; the others are null."""

MEASURED_SINCE = {"riskScenarios", "turnover", "risk"}


def same(found: Any, before: Any, place: str = "") -> None:
    """Key by key: weights to 1e-9, other numbers to 1e-12; how long a step took may differ."""
    if isinstance(before, dict):
        assert before.keys() <= found.keys(), place
        for key in found.keys() - before.keys():
            known = key.endswith("Seconds") or key in MEASURED_SINCE
            assert known or found[key] == SINCE_THEN.get(key), f"{place}.{key}"
        for key, value in before.items():
            if not key.endswith("Seconds"):
                same(found[key], value, f"{place}.{key}")
    elif isinstance(before, list):
        assert len(found) == len(before), place
        for position, value in enumerate(before):
            same(found[position], value, f"{place}[{position}]")
    elif isinstance(before, float):
        tolerance = 1e-9 if place.endswith(".weight") else 1e-12
        assert found == pytest.approx(before, rel=tolerance, abs=tolerance), place
    else:
        assert found == before, place


def test_a_stored_result_is_read_with_every_public_key_as_it_was(name: str) -> None:
    stored, document = golden(name), session_result(stored_session(name)).as_json()
    assert document["schemaVersion"] == 1
    figures = {key: value for key, value in stored["solverMetadata"]["figures"].items() if key != "lossCount"}
    solved = {key: stored["solverMetadata"][key] for key in ("constraints", "relaxations", "conflict", "solver")}
    for key, before in (figures | solved).items():
        same(document[key], before, key)
    same(document["allocation"], stored["allocation"], "allocation")
    same(document["validation"], stored["validationMetrics"], "validation")
    assert document.keys() - ADDED == {
        *("sessionId", "fundId", "status", "errorCode", "errorReason", "matrixKey", "matrixCache", "expectedMoic"),
        *("lossProbability", "cvar", "expectedWinners", "allocation", "constraints", "relaxations", "conflict"),
        *("solver", "validation", "pass1EStar", "primaryLockEpsilon", "calibrationVersion", "modelVersion", "timings"),
    }


def test_a_result_without_a_verdict_is_judged_as_a_new_one_is(name: str) -> None:
    session = stored_session(name)
    result = session_result(session)
    assert result.verdict == judged(stored_optimization(session), result.allocation, result.validation)
    assert result.verdict.status == "broken"
    assert {limit.constraint_id for limit in result.verdict.limits} == {one.constraint_id for one in result.constraints}


def test_a_stored_verdict_stays_as_it_was_worded() -> None:
    session = optimized_session({"totalFundSize": 10_000_000})
    metrics = dict(session.validation_metrics or {})
    metrics["verdict"] = {**metrics["verdict"], "sentence": "As it was said then."}
    object.__setattr__(session, "validation_metrics", metrics)
    result = session_result(session)
    assert (result.schema_version, result.verdict.sentence) == (SCHEMA_VERSION, "As it was said then.")
    assert StoredValidation.model_validate(metrics).schema_version == SCHEMA_VERSION


def test_the_same_request_gives_the_weights_and_figures_of_before(name: str) -> None:
    before, now = golden(name), optimized_session(golden(name)["request"] | {"expectations": "sample"})
    assert now.matrix_key == before["matrixKey"]
    same(now.allocation, before["allocation"], "allocation")
    same(now.pass1_e_star, before["pass1EStar"], "pass1EStar")
    metrics = {key: value for key, value in (now.validation_metrics or {}).items() if key not in ADDED}
    same(metrics, before["validationMetrics"], "validation")
    solved = {key: value for key, value in (now.solver_metadata or {}).items() if key not in ADDED}
    # How much work a solver of a later version does, and what it is set to, is its own affair.
    own = {"work", "nodes", "settings", "fallback"}
    for document in (solved, expected := dict(before["solverMetadata"])):
        document["solver"] = {key: value for key, value in document["solver"].items() if key not in own}
    assert solved["solver"].keys() >= expected["solver"].keys()
    solved["solver"] = {key: solved["solver"][key] for key in expected["solver"]}
    same(solved, expected, "solver")


def test_stress_and_large_samples_of_a_stored_session_say_what_they_said(name: str) -> None:
    session, before = stored_session(name), golden(name)
    stressed = stress_command._report(session, {"recession": 0.6}, 2000).as_json()
    same(stressed, {"sessionId": str(SESSION), **before["stress"]}, "stress")
    found = LargeSampleDocument.of(SESSION, large_sample(*_tallied(name))).as_json()
    same(found, {"sessionId": str(SESSION), **before["largeSample"]}, "largeSample")


def _tallied(name: str) -> tuple[Any, JudgedAgainst, list[Any]]:
    """5,000 scenarios, as the task of `vcfolio out-of-sample` judges them."""
    session = stored_session(name)
    result, inputs = session_result(session), simulation_inputs(session.matrix_key_json)
    config = NormalizedConfig.model_validate(session.normalized_config)
    portfolio = Judged(config, weights_from(result.allocation, config), deals_from(result.allocation, config))
    limits = limits_from(stored_optimization(session).limits)
    equal = [other.feasible for other in result.validation.comparison_portfolios if other.name == "equal_weights"]
    against = JudgedAgainst(
        limits=limits,
        granted_losses=max(config.max_loss_probability, limits.max_losses / 400),
        in_sample=result.expected_moic,
        whole_deals_in_sample=result.validation.whole_deals.in_sample.expected_moic,
        equal_is_feasible=equal[0],
    )
    return inputs, against, [tally_part(portfolio, inputs, BlockRange(*pair)) for pair in pairwise((0, 2000, 5000))]


def test_stored_weights_and_limits_come_back(name: str) -> None:
    session = stored_session(name)
    assert stored_weights(session).tolist() == [one["weight"] for one in golden(name)["allocation"]]
    same([one.as_json() for one in stored_allocation(session)], golden(name)["allocation"])
    assert Optimization.model_validate(session.solver_metadata).schema_version == 1
