from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from core.errors import Conflict, NotFound
from core.session_states import SessionStatus
from db import matrices, matrix_generations, session_rows, sessions
from db.session_rows import Fence
from tests.db.store.examples import (
    bridge_session,
    expire_session_lease,
    inline_session,
    matrix_key,
    new_session,
    session_at,
    started,
    store_allocation,
    store_matrix,
)

ACTIVE = [status for status in SessionStatus if not status.terminal]


def _start_optimizing(conn: Connection, fence: Fence) -> bool:
    key = sessions.load_session(conn, fence.session_id).matrix_key
    reference = matrices.read_reference(conn, key)
    generation = reference.generation if reference else store_matrix(conn, key).generation
    return sessions.start_optimizing(conn, fence, generation, "hit")


WRITES: dict[str, tuple[list[SessionStatus], Callable[[Connection, Fence], bool]]] = {
    "start_matrix": ([SessionStatus.REQUESTED], sessions.start_matrix),
    "start_optimizing": ([SessionStatus.MATRIX_GENERATING], _start_optimizing),
    "store_allocation": ([SessionStatus.OPTIMIZING], store_allocation),
    "complete": ([SessionStatus.VALIDATING], lambda conn, fence: sessions.complete(conn, fence, {"feasible": True})),
    "fail": (ACTIVE, lambda conn, fence: sessions.fail(conn, fence, "infeasible", "because")),
    "extend_lease": (ACTIVE, lambda conn, fence: sessions.extend_lease(conn, fence, 45, {"nodes": 1})),
    "release_lease": (ACTIVE, lambda conn, fence: sessions.release_lease(conn, fence, count_failure=True)),
    "record_flow_run": (ACTIVE, lambda conn, fence: sessions.record_flow_run(conn, fence, uuid4())),
}


def _status(conn: Connection, fence: Fence) -> SessionStatus:
    return sessions.load_session(conn, fence.session_id).status


def _outbox(conn: Connection, session_id: object) -> dict[str, object]:
    row = conn.execute(text("SELECT * FROM job_outbox WHERE session_id = :id"), {"id": session_id}).mappings().one()
    return dict(row)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("status", SessionStatus)
def test_a_write_happens_in_the_statuses_it_is_meant_for_and_in_no_other(
    connection: Connection, write: str, status: SessionStatus
) -> None:
    allowed, act = WRITES[write]
    fence = session_at(connection, status)
    before = sessions.load_session(connection, fence.session_id)
    assert act(connection, fence) == (status in allowed)
    assert (sessions.load_session(connection, fence.session_id) != before) == (status in allowed)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("wrong", ["epoch", "lease_token", "session_id"])
def test_a_write_with_another_fence_changes_nothing(connection: Connection, write: str, wrong: str) -> None:
    allowed, act = WRITES[write]
    fence = session_at(connection, allowed[0])
    before = sessions.load_session(connection, fence.session_id)
    stranger = replace(fence, **{wrong: 7 if wrong == "epoch" else uuid4()})
    if wrong == "session_id":
        bystander = inline_session(connection)
        stranger = replace(fence, session_id=bystander.session_id)
    if write == "start_optimizing":
        store_matrix(connection, before.matrix_key)
        assert not sessions.start_optimizing(connection, stranger, 1, "hit")
    else:
        assert not act(connection, stranger)
    assert sessions.load_session(connection, fence.session_id) == before
    assert not sessions.owns(connection, stranger)
    assert sessions.owns(connection, fence)


def test_a_session_runs_through_its_states_and_keeps_what_each_stored(connection: Connection) -> None:
    fence = session_at(connection, SessionStatus.COMPLETED)
    session = sessions.load_session(connection, fence.session_id)
    assert session.status is SessionStatus.COMPLETED
    assert session.allocation == [{"bucketId": "Seed_SaaS", "weight": 1.0}]
    assert session.solver_metadata == {"status": "optimal"}
    assert (session.pass1_e_star, session.primary_lock_epsilon) == (2.5, 0.001)
    assert session.validation_metrics == {"feasible": True}
    assert (session.matrix_generation, session.matrix_origin) == (1, "generated")
    assert session.lease_token is None


def test_the_request_is_frozen_as_it_was_given(connection: Connection) -> None:
    new = new_session(connection, request={"a": None, "b": [1.5, "ü"]}, client_key="click")
    created = sessions.create_session(connection, new, "bridge", None, None).session
    session = sessions.load_session(connection, created.session_id)
    frozen = {field.name: getattr(session, field.name) for field in fields(new)}
    assert frozen == {**asdict(new), "session_id": created.session_id}
    assert (session.request, session.driver) == ({"a": None, "b": [1.5, "ü"]}, "bridge")
    assert created == session_rows.SessionState(session.session_id, session.status, session.epoch, None, None)
    assert session.allocation is session.progress is session.validation_metrics is None


def test_none_is_sql_null_and_never_the_json_value(connection: Connection) -> None:
    session_id = bridge_session(connection)
    stored_null = text(
        "SELECT progress IS NULL AND allocation IS NULL FROM optimization_sessions WHERE session_id = :id"
    )
    assert connection.scalar(stored_null, {"id": session_id}) is True


def test_a_bridge_session_waits_in_the_outbox(connection: Connection) -> None:
    session_id = bridge_session(connection)
    row = _outbox(connection, session_id)
    assert (row["status"], row["attempts"], row["epoch"]) == ("pending", 0, 0)
    assert row["idempotency_key"] == f"optimization_session:{session_id}"
    assert row["payload"] == {"session_id": str(session_id), "epoch": 0}


def test_an_inline_session_is_leased_and_not_for_the_bridge(connection: Connection) -> None:
    fence = inline_session(connection)
    assert sessions.owns(connection, fence)
    assert _outbox(connection, fence.session_id)["status"] == "enqueued"
    assert sessions.take_session(connection, fence.session_id, 0, 45, "bridge") is None


def test_the_same_client_key_and_request_is_the_same_session(connection: Connection) -> None:
    new = new_session(connection, client_key="click")
    first = sessions.create_session(connection, new, "inline", 45, "host:1")
    again = sessions.create_session(connection, new, "inline", 45, "host:2")
    assert (first.created, again.created) == (True, False)
    assert again.session == first.session
    assert again.lease_token is None


def test_the_same_client_key_for_another_request_is_a_conflict(connection: Connection) -> None:
    sessions.create_session(connection, new_session(connection, client_key="click"), "bridge", None, None)
    other = new_session(connection, client_key="click", request_hash="b" * 64)
    with pytest.raises(Conflict, match=r"client key = 'click'.*another request"):
        sessions.create_session(connection, other, "bridge", None, None)


def test_an_unknown_session_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFound, match="no session has this id"):
        sessions.load_session(connection, uuid4())


def test_a_free_session_is_taken_once(connection: Connection) -> None:
    session_id = bridge_session(connection)
    token = sessions.take_session(connection, session_id, 0, 45, "host:1")
    assert token is not None
    assert sessions.take_session(connection, session_id, 0, 45, "host:2") is None
    assert sessions.owns(connection, Fence(session_id, 0, token))


@pytest.mark.parametrize("epoch", [1, -1])
def test_a_session_is_not_taken_for_another_epoch(connection: Connection, epoch: int) -> None:
    assert sessions.take_session(connection, bridge_session(connection), epoch, 45, "host:1") is None


@pytest.mark.parametrize("status", [SessionStatus.COMPLETED, SessionStatus.FAILED])
def test_a_session_that_has_ended_is_not_taken_reopened_or_cancelled(
    connection: Connection, status: SessionStatus
) -> None:
    fence = session_at(connection, status)
    before = sessions.load_session(connection, fence.session_id)
    assert sessions.take_session(connection, fence.session_id, 0, 45, "host:1") is None
    assert sessions.reopen(connection, fence.session_id, 0, force=True) is None
    assert not sessions.cancel(connection, fence.session_id, "too late")
    assert sessions.load_session(connection, fence.session_id) == before


def test_an_expired_lease_is_taken_over_and_its_holder_is_superseded(connection: Connection) -> None:
    zombie = session_at(connection, SessionStatus.VALIDATING)
    expire_session_lease(connection, zombie.session_id)
    assert sessions.owns(connection, zombie)
    token = sessions.take_session(connection, zombie.session_id, 0, 45, "host:2")
    assert token is not None
    assert not sessions.owns(connection, zombie)
    assert not sessions.complete(connection, zombie, {"feasible": False})
    assert sessions.complete(connection, replace(zombie, lease_token=token), {"feasible": True})


def test_a_heartbeat_moves_the_lease_and_keeps_the_last_progress(connection: Connection) -> None:
    fence = inline_session(connection, lease_s=1)
    assert sessions.extend_lease(connection, fence, 45, {"nodes": 1})
    assert sessions.extend_lease(connection, fence, 90, None)
    session = sessions.load_session(connection, fence.session_id)
    assert session.progress == {"nodes": 1}
    assert session.lease_expires_at is not None
    assert (session.lease_expires_at - session.created_at).total_seconds() == 90


def test_a_released_lease_can_be_taken_at_once_and_counts_the_failure(connection: Connection) -> None:
    fence = session_at(connection, SessionStatus.OPTIMIZING)
    assert sessions.release_lease(connection, fence, count_failure=False)
    token = sessions.take_session(connection, fence.session_id, 0, 45, "host:2")
    assert token is not None
    assert sessions.release_lease(connection, replace(fence, lease_token=token), count_failure=True)
    session = sessions.load_session(connection, fence.session_id)
    assert (session.unclassified_failures, session.lease_owner) == (1, None)
    assert session.status is SessionStatus.OPTIMIZING


@pytest.mark.parametrize("row", ["none", "generating", "failed", "of another generation", "of another key"])
def test_optimizing_does_not_start_without_the_complete_matrix(connection: Connection, row: str) -> None:
    fence = session_at(connection, SessionStatus.MATRIX_GENERATING)
    key = sessions.load_session(connection, fence.session_id).matrix_key
    generation = 1
    if row == "generating":
        started(connection, key)
    elif row == "failed":
        assert matrix_generations.fail_generation(connection, started(connection, key), "because")
    elif row == "of another generation":
        generation = store_matrix(connection, key).generation + 1
    elif row == "of another key":
        store_matrix(connection, matrix_key("another"))
    assert not sessions.start_optimizing(connection, fence, generation, "hit")
    assert _status(connection, fence) is SessionStatus.MATRIX_GENERATING
    assert sessions.owns(connection, fence)


def test_reopening_begins_an_epoch_that_the_bridge_does_not_start(connection: Connection) -> None:
    fence = session_at(connection, SessionStatus.OPTIMIZING)
    sessions.record_flow_run(connection, fence, uuid4())
    expire_session_lease(connection, fence.session_id)
    assert sessions.reopen(connection, fence.session_id, 0, force=False) == 1
    session = sessions.load_session(connection, fence.session_id)
    assert (session.status, session.epoch, session.lease_token) == (SessionStatus.OPTIMIZING, 1, None)
    assert session.flow_run_id is None
    row = _outbox(connection, fence.session_id)
    assert (row["status"], row["epoch"]) == ("enqueued", 1)
    assert row["payload"] == {"session_id": str(fence.session_id), "epoch": 1}
    assert sessions.take_session(connection, fence.session_id, 0, 45, "old run") is None
    assert sessions.take_session(connection, fence.session_id, 1, 45, "new run") is not None


def test_a_live_lease_is_reopened_only_by_force(connection: Connection) -> None:
    fence = inline_session(connection)
    assert sessions.reopen(connection, fence.session_id, 0, force=False) is None
    assert sessions.owns(connection, fence)
    assert sessions.reopen(connection, fence.session_id, 0, force=True) == 1
    assert not sessions.owns(connection, fence)


def test_reopening_for_an_epoch_that_is_over_changes_nothing(connection: Connection) -> None:
    session_id = bridge_session(connection)
    assert sessions.reopen(connection, session_id, 0, force=False) == 1
    assert sessions.reopen(connection, session_id, 0, force=True) is None


def test_reopening_puts_a_lost_outbox_row_back(connection: Connection) -> None:
    session_id = bridge_session(connection)
    connection.execute(text("DELETE FROM job_outbox"))
    assert sessions.reopen(connection, session_id, 0, force=False) == 1
    assert _outbox(connection, session_id)["epoch"] == 1


def test_a_cancelled_session_has_failed_and_is_not_started_any_more(connection: Connection) -> None:
    session_id = bridge_session(connection)
    assert sessions.cancel(connection, session_id, "by the user")
    session = sessions.load_session(connection, session_id)
    assert (session.status, session.error_code, session.error_reason) == (
        SessionStatus.FAILED,
        "cancelled",
        "by the user",
    )
    row = _outbox(connection, session_id)
    assert (row["status"], row["error_reason"]) == ("failed", "session cancelled: by the user")


def test_a_running_session_is_cancelled_and_its_run_superseded(connection: Connection) -> None:
    fence = session_at(connection, SessionStatus.OPTIMIZING)
    assert sessions.cancel(connection, fence.session_id, "by the user")
    assert not sessions.owns(connection, fence)
    assert _outbox(connection, fence.session_id)["status"] == "enqueued"


def test_interrupted_are_the_active_inline_sessions_without_a_live_lease(connection: Connection) -> None:
    bridge_session(connection)
    inline_session(connection)
    session_at(connection, SessionStatus.COMPLETED)
    released, expired = inline_session(connection), inline_session(connection)
    sessions.release_lease(connection, released, count_failure=False)
    expire_session_lease(connection, expired.session_id)
    found = {session.session_id for session in sessions.interrupted_inline_sessions(connection)}
    assert found == {released.session_id, expired.session_id}
