"""Large matrices and samples in parts, on Prefect's task runners: the same bytes as in one piece."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from core import pipeline
from core.errors import BadInput, Unavailable
from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_as_asked
from core.matrix.scenario_matrix import ScenarioMatrix
from core.risk import large_sample
from core.session_states import SessionStatus
from core.simulation.block_ranges import BlockRange, block_ranges_of
from core.simulation.models import model_of
from db.matrix_values import payload_of
from db.settings import Settings
from flows import out_of_sample as out_of_sample_flow
from tasks import large_matrix
from tasks.block_ranges import in_block_ranges, task_runner
from tasks.large_matrix import matrix_block_range, simulate
from tests.flow.flows.product import Product, task_states
from tests.unit.core.examples import example_normalized

pytestmark = pytest.mark.xdist_group("flows")

LARGE = {"scenarioCount": 3_300, "companiesPerBucket": 2}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block is a part."""
    for module in (pipeline, large_sample):
        monkeypatch.setattr(module, "block_ranges_of", partial(block_ranges_of, draws_per_range=1))


def _settings(home: Path, runner: Any) -> Settings:
    return Settings(home=home, task_runner=runner, task_workers=2)


_told: list[tuple[int, int]] = []


def _tell(done: int, parts: int) -> None:
    _told.append((done, parts))


@flow(persist_result=False, validate_parameters=False)
def _simulated(document: dict[str, Any], settings: Settings) -> ScenarioMatrix:
    return simulate(document, settings, _tell)


@flow(persist_result=False, validate_parameters=False)
def _made(document: dict[str, Any], settings: Settings) -> list[Any]:
    return in_block_ranges(matrix_block_range, [BlockRange(0, 1000)], {"key_document": document}, settings, _tell)


def _same(one: ScenarioMatrix, other: ScenarioMatrix) -> bool:
    return (
        one.moic.tobytes() == other.moic.tobytes()
        and one.win_probability.tobytes() == other.win_probability.tobytes()
        and list(one.states) == list(other.states)
    )


def test_mapped_tasks_give_the_bytes_of_the_serial_matrix(
    tmp_path: Path, small_parts: None, prefect_server: None
) -> None:
    document = example_normalized(scenarioGenConfig=LARGE).key_document
    _told.clear()

    matrix = _simulated(document, _settings(tmp_path, "threads"))

    assert _same(matrix, model_of("three_component_v2").generate(simulation_inputs(document)))
    assert _told == [(done, 4) for done in range(5)]


def test_what_was_generated_in_parts_is_reduced_as_asked(
    tmp_path: Path, small_parts: None, prefect_server: None
) -> None:
    asked = {"scenarioCount": 50, "generatedScenarios": 1_500, "companiesPerBucket": 2}
    document = example_normalized(scenarioGenConfig=asked).key_document

    matrix = _simulated(document, _settings(tmp_path, "threads"))

    assert matrix.n_scenarios == 50
    assert _same(
        matrix, reduce_as_asked(model_of("three_component_v2").generate(simulation_inputs(document)), document)
    )


def test_the_first_model_is_one_stream_and_stays_in_one_piece(
    tmp_path: Path, small_parts: None, prefect_server: None
) -> None:
    document = example_normalized(modelVersion="three_component_v1", expectations="sample").key_document

    matrix = _simulated(document, _settings(tmp_path, "threads"))

    assert _same(matrix, model_of("three_component_v1").generate(simulation_inputs(document)))


def test_what_a_part_raises_is_raised_and_ends_the_work(tmp_path: Path, prefect_server: None) -> None:
    document = example_normalized(scenarioGenConfig=LARGE).key_document
    document = {**document, "key": {**document["key"], "sim_model_version": "three_component_v9"}}

    with pytest.raises(BadInput, match="sim_model_version = 'three_component_v9'"):
        _made(document, _settings(tmp_path, "threads"))


def test_dask_without_its_package_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)

    with pytest.raises(BadInput, match=r"VCFOLIO_TASK_RUNNER = 'dask': needs .*vcfolio\[dask\]"):
        task_runner(_settings(tmp_path, "dask"))


def test_a_dask_scheduler_that_does_not_answer_is_said_to_be_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prefect_dask", reason="an extra: pip install 'vcfolio[dask]'")
    timeouts = importlib.import_module("distributed").config["distributed"]["comm"]["timeouts"]
    monkeypatch.setitem(timeouts, "connect", "1s")
    settings = _settings(tmp_path, "dask").model_copy(update={"dask_address": "tcp://127.0.0.1:9"})
    with pytest.raises(Unavailable, match=r"task runner dask cannot start: .*tcp://127\.0\.0\.1:9"):
        in_block_ranges(matrix_block_range, [BlockRange(0, 1_000)], {}, settings, _tell)


def test_the_workers_are_those_that_were_asked_for(tmp_path: Path) -> None:
    assert task_runner(_settings(tmp_path, "threads")) == ThreadPoolTaskRunner(max_workers=2)


def test_a_session_with_a_large_matrix_makes_it_in_parts_and_stores_the_serial_bytes(
    product: Product, small_parts: None
) -> None:
    session = product.completed(scenarioGenConfig={"scenarioCount": 1_500})

    assert task_states(session.flow_run_id, "matrix", "scenarios")["scenarios"] == ["Completed"] * 2
    serial = model_of("three_component_v2").generate(simulation_inputs(session.matrix_key_json))
    recorded = payload_of(serial, session.matrix_key_json).payload_sha256
    (stored,) = product.sql("SELECT payload_sha256 FROM scenario_matrices WHERE matrix_key = :k", k=session.matrix_key)
    assert stored[0] == recorded


def test_a_session_that_is_lost_ends_its_generation_without_failing_the_matrix(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody cancels the session while the parts of its matrix are made."""
    fence = product.ask(scenarioGenConfig={"scenarioCount": 1_500})
    monkeypatch.setattr(pipeline, "block_ranges_of", partial(block_ranges_of, draws_per_range=1))
    real = large_matrix.in_block_ranges

    def cancelled_meanwhile(task: Any, parts: Any, shared: Any, settings: Settings, progress: Any) -> Any:
        product.sql(
            "UPDATE optimization_sessions SET lease_token = gen_random_uuid() WHERE session_id = :id",
            id=fence.session_id,
        )

        def told(done: int, count: int) -> None:
            if done == 1:
                product.until(lambda: _is_lost(fence))
            progress(done, count)

        return real(task, parts, shared, settings, told)

    monkeypatch.setattr(large_matrix, "in_block_ranges", cancelled_meanwhile)

    state = product.run(fence)

    assert state.name == "Superseded"
    (status,) = product.sql("SELECT status FROM scenario_matrices")
    assert status[0] == "generating"


def _is_lost(fence: Any) -> bool:
    from tasks.heartbeat import heartbeat_of  # noqa: PLC0415

    return heartbeat_of(fence).lost.is_set()


def test_millions_of_scenarios_of_a_session_are_those_of_its_validation(product: Product, small_parts: None) -> None:
    session = product.completed(validationScenarios=3_300)
    assert session.status is SessionStatus.COMPLETED
    assert session.validation_metrics is not None
    told: list[tuple[int, int]] = []
    out_of_sample_flow.report_progress_to(lambda done, parts: told.append((done, parts)))

    document = out_of_sample_flow.out_of_sample(session.session_id, 3_300).as_json()

    assert told == [(done, 4) for done in range(5)]
    assert document["sessionId"] == str(session.session_id)
    stored = session.validation_metrics
    for found, validated in (
        (document["weights"], stored["outOfSample"]),
        (document["wholeDeals"], stored["wholeDeals"]["outOfSample"]),
    ):
        for figure in ("expectedMoic", "lossProbability", "cvar", "expectedWinners"):
            for name in ("value", "standardError", *(("limit",) if figure != "expectedMoic" else ())):
                assert found[figure][name] == pytest.approx(validated[figure][name], rel=1e-9)
        assert found["optimismGap"] == pytest.approx(validated["optimismGap"])
    # Of means, the validation knows the difference by the distribution, the large sample by its scenarios.
    other, known = document["rivals"][0], stored["rivals"][0]
    assert other["name"] == known["name"]
    assert abs(other["difference"] - known["difference"]) <= 5.0 * other["standardError"]


@pytest.mark.parametrize("scenarios", [999, 100_000_001])
def test_a_number_of_scenarios_out_of_range_is_refused(product: Product, scenarios: int) -> None:
    session = product.completed()

    with pytest.raises(BadInput, match=f"scenarios = {scenarios}: must be 1,000 to 100,000,000"):
        out_of_sample_flow.out_of_sample(session.session_id, scenarios)


def test_a_session_that_is_not_completed_has_no_portfolio_to_test(product: Product) -> None:
    fence = product.ask()

    with pytest.raises(BadInput, match="must be completed; it is REQUESTED"):
        out_of_sample_flow.out_of_sample(fence.session_id, 1_000)
