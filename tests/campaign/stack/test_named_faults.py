"""Processes killed at named places, by a real SIGKILL: what was stored is whole, and the work is done once."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.canonical import sha256_hex
from core.session_states import SessionStatus
from db.fault_points import FaultPoint
from db.session_rows import SessionRow
from tests.command_line import finish
from tests.small_request import SMALL
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import Stack, stopped
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("campaign-stack")

KILLED = -signal.SIGKILL
AT_ONCE = 20

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A request file, with `changes` to SMALL."""

    def to_file(**changes: Any) -> str:
        path = tmp_path / f"{sha256_hex(repr(sorted(changes)).encode())[:8]}.json"
        path.write_text(json.dumps(SMALL | changes))
        return str(path)

    return to_file


def _stored(stack: Stack, client_key: str) -> list[tuple[Any, ...]]:
    """Sessions of this key, each with the number of its outbox rows."""
    return stack.rows(
        "SELECT CAST(session_id AS text), (SELECT count(*) FROM job_outbox o WHERE o.session_id = s.session_id) "
        "FROM optimization_sessions s WHERE client_key = :key",
        key=client_key,
    )


@pytest.mark.parametrize(("fault", "was_stored"), [("create.before_commit", False), ("create.after_commit", True)])
def test_a_request_killed_is_stored_whole_or_not_at_all_and_can_be_repeated(
    stack: Stack, write: Write, fault: FaultPoint, was_stored: bool
) -> None:
    """Killed after the commit its answer is lost: who asks again with the same key is given that session."""
    ask = ("request", write(), "--client-key", fault, "--json")
    output, _ = finish(stack.command.start(*ask, VCFOLIO_FAULT=f"{fault}=kill"), KILLED)
    assert output == ""
    before = _stored(stack, fault)
    assert [rows for _, rows in before] == [1] * was_stored
    again = stack.command.json(*ask)
    assert again["created"] is not was_stored
    assert _stored(stack, fault) == (before or [(again["sessionId"], 1)])
    _, notes = stack.command.call("request", write(cvarLimit=0.8), "--client-key", fault, code=2)
    assert again["sessionId"] in notes
    assert stack.wait_for(again["sessionId"]).status is SessionStatus.COMPLETED
    assert len(stack.flow_runs(again["sessionId"])) == 1


def test_twenty_commands_at_once_with_one_key_are_one_session(stack: Stack, write: Write) -> None:
    ask = ("request", write(), "--client-key", "twenty", "--json")
    with stopped(stack.part("bridge")):
        answers = [json.loads(finish(one)[0]) for one in [stack.command.start(*ask) for _ in range(AT_ONCE)]]
    assert sorted(answer["created"] for answer in answers) == [False] * (AT_ONCE - 1) + [True]
    assert {(answer["sessionId"], 1) for answer in answers} == set(_stored(stack, "twenty"))
    assert stack.wait_for(answers[0]["sessionId"]).status is SessionStatus.COMPLETED
    assert len(stack.flow_runs(answers[0]["sessionId"])) == 1


@pytest.mark.parametrize(
    ("fault", "left_as", "runs_made", "attempts"),
    [
        ("bridge.before_claim", "pending", 0, 1),
        ("bridge.claimed", "processing", 0, 2),
        ("bridge.created", "processing", 1, 2),
    ],
)
def test_sessions_of_a_bridge_killed_have_one_flow_run_each_and_the_backlog_drains(
    stack: Stack, taxonomy: str, fault: FaultPoint, left_as: str, runs_made: int, attempts: int
) -> None:
    """A claim that died with its bridge is given back after its time, and has cost that attempt and no more."""
    with stopped(stack.part("bridge")):
        session_ids = [stack.request(taxonomyVersion=taxonomy) for _ in range(3)]
        finish(stack.command.start("bridge", **QUICK, VCFOLIO_FAULT=f"{fault}=kill"), KILLED)
        jobs = "SELECT status, attempts, epoch FROM job_outbox WHERE session_id = ANY (:ids)"
        claims = 0 if left_as == "pending" else 1
        assert set(stack.rows(jobs, ids=session_ids)) == {(left_as, claims, 0)}
        assert [len(stack.flow_runs(session_id)) for session_id in session_ids] == [runs_made] * 3
        stack.advance_clock(60)
    for session_id in session_ids:
        session = stack.wait_for(session_id)
        assert (session.status, session.epoch, session.rescues) == (SessionStatus.COMPLETED, 0, 0)
        assert stack.events(session_id) == []
    # A run may end before the row is noted as enqueued.
    assert eventually(lambda: set(stack.rows(jobs, ids=session_ids)) == {("enqueued", attempts, 0)})
    assert [len(stack.flow_runs(session_id)) for session_id in session_ids] == [1, 1, 1]


def _killed_at(stack: Stack, session_id: str, fault: FaultPoint) -> SessionRow:
    """What a run killed there has left of its session."""
    run = stack.run_with_fault(session_id, fault)
    assert eventually(lambda: stack.flow_run(run)["state_name"] == "Crashed"), stack.flow_run(run)
    return stack.session(session_id)


@pytest.mark.parametrize("fault", ["matrix.simulated", "matrix.writing"])
def test_of_a_matrix_whose_maker_is_killed_nothing_is_stored_and_the_next_one_makes_it(
    stack: Stack, taxonomy: str, fault: FaultPoint
) -> None:
    with stopped(stack.part("bridge")):
        session_id = stack.request(taxonomyVersion=taxonomy)
        before = _killed_at(stack, session_id, fault)
        assert (before.status, before.matrix_generation) == (SessionStatus.MATRIX_GENERATING, None)
        stored = "SELECT status, moic_matrix IS NULL FROM scenario_matrices WHERE matrix_key = :key"
        assert stack.rows(stored, key=before.matrix_key) == [("generating", True)]
        stack.advance_clock(60)
    after = stack.wait_for(session_id)
    assert (after.status, after.epoch, after.matrix_generation) == (SessionStatus.COMPLETED, 1, 2)
    assert stack.rows(stored, key=after.matrix_key) == [("complete", False)]
    generations = "SELECT outcome FROM matrix_generations WHERE matrix_key = :key ORDER BY generation"
    assert stack.rows(generations, key=after.matrix_key) == [("abandoned",), ("complete",)]
    assert stack.events(session_id) == ["rescued"]


def test_a_run_killed_inside_the_solver_is_resumed_without_repeating_what_is_stored(
    stack: Stack, taxonomy: str
) -> None:
    with stopped(stack.part("bridge")):
        session_id = stack.request(taxonomyVersion=taxonomy)
        before = _killed_at(stack, session_id, "optimize.solving")
        assert (before.status, before.allocation) == (SessionStatus.OPTIMIZING, None)
        stack.advance_clock(60)
        before = stack.session(session_id)
    after = stack.wait_for(session_id)
    assert (after.status, after.epoch, after.rescues) == (SessionStatus.COMPLETED, 1, 1)
    kept = ("matrix_started_at", "matrix_completed_at", "matrix_generation", "matrix_origin", "optimization_started_at")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert stack.events(session_id) == ["rescued"]
    lost, resumed = stack.flow_runs(session_id)
    assert lost["state_name"] == "Crashed"
    assert resumed["id"] == str(after.flow_run_id)
    assert stack.rows("SELECT count(*) FROM job_outbox WHERE session_id = :id", id=session_id) == [(1,)]


def test_a_run_killed_between_validation_and_its_transition_has_stored_nothing_of_it(
    stack: Stack, taxonomy: str
) -> None:
    with stopped(stack.part("bridge")):
        session_id = stack.request(taxonomyVersion=taxonomy)
        before = _killed_at(stack, session_id, "validate.before_transition")
        assert (before.status, before.validation_metrics) == (SessionStatus.VALIDATING, None)
        stack.advance_clock(60)
        before = stack.session(session_id)
    after = stack.wait_for(session_id)
    assert (after.status, after.epoch) == (SessionStatus.COMPLETED, 1)
    kept = ("allocation", "solver_metadata", "pass1_e_star", "optimization_completed_at", "validation_started_at")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert set(stack.task_runs(after.flow_run_id)) == {"matrix", "validate"}


def test_an_allocation_tampered_with_before_it_is_validated_never_completes(stack: Stack, taxonomy: str) -> None:
    with stopped(stack.part("bridge")):
        session_id = stack.request(taxonomyVersion=taxonomy)
        assert _killed_at(stack, session_id, "validate.before_transition").status is SessionStatus.VALIDATING
        stack.rows(
            "UPDATE optimization_sessions SET allocation = jsonb_set(allocation, '{0,weight}', '0.99') "
            "WHERE session_id = :id",
            id=session_id,
        )
        stack.advance_clock(60)
    after = stack.wait_for(session_id)
    assert (after.status, after.error_code) == (SessionStatus.FAILED, "invalid_allocation")
    assert after.validation_metrics is None


def test_a_frontier_whose_run_is_killed_goes_on_at_the_first_missing_point(stack: Stack, taxonomy: str) -> None:
    session_id = stack.request(taxonomyVersion=taxonomy)
    assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
    points = "SELECT point_key, created_at FROM frontier_points WHERE matrix_key = :key"
    key = stack.session(session_id).matrix_key
    with stopped(stack.part("bridge")):
        frontier_id = stack.request_frontier(session_id, "maxLossProbability=0.4:0.8:3")
        run = stack.frontier_run_with_fault(frontier_id, "frontier.point_stored")
        assert eventually(lambda: stack.flow_run(run)["state_name"] == "Crashed"), stack.flow_run(run)
        stack.advance_clock(60)
        before = set(stack.rows(points, key=key))
        assert before
    state = "SELECT status, epoch, rescues, error_reason FROM frontier_jobs WHERE frontier_id = :id"
    done = [("COMPLETED", 1, 1, None)]
    assert eventually(lambda: stack.rows(state, id=frontier_id) == done), stack.rows(state, id=frontier_id)
    after = set(stack.rows(points, key=key))
    assert before <= after
    assert len(after) == 3
