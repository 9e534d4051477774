from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from core.session_states import SessionStatus
from db import matrices, matrix_generations, outbox, sessions
from db.engine import transaction
from db.matrix_generations import Started
from db.retention import delete_ended_jobs, evict_matrices
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import (
    begin,
    bridge_session,
    inline_session,
    matrix_key,
    payload,
    race,
    session_at,
    started,
    store_matrix,
)

DAY_S = 86_400.0
KEY = matrix_key("one")


def _evict(conn: Connection, limit: int = 100) -> int:
    return evict_matrices(conn, complete_s=30 * DAY_S, failed_s=7 * DAY_S, limit=limit)


def _keys(conn: Connection) -> set[str]:
    return set(conn.scalars(text("SELECT matrix_key FROM scenario_matrices")))


def _unread_for(conn: Connection, key: str, days: float) -> None:
    conn.execute(
        text("UPDATE scenario_matrices SET last_accessed_at = now() - make_interval(secs => :s) WHERE matrix_key = :k"),
        {"s": days * DAY_S, "k": key},
    )


def test_a_matrix_goes_when_nobody_has_read_it_for_long_enough(connection: Connection) -> None:
    for days in (1, 29, 31, 400):
        store_matrix(connection, matrix_key(days))
        _unread_for(connection, matrix_key(days), days)
    assert _evict(connection) == 2
    assert _keys(connection) == {matrix_key(1), matrix_key(29)}
    assert _evict(connection) == 0


def test_reading_a_matrix_keeps_it(connection: Connection) -> None:
    store_matrix(connection, KEY)
    advance_clock(connection, 31 * DAY_S)
    assert matrices.load_payload(connection, KEY) is not None
    assert _evict(connection) == 0


def test_a_failed_matrix_goes_sooner_and_one_in_the_making_stays(connection: Connection) -> None:
    failed, making = matrix_key("failed"), matrix_key("in the making")
    assert matrix_generations.fail_generation(connection, started(connection, failed), "because")
    started(connection, making)
    advance_clock(connection, 6 * DAY_S)
    assert _evict(connection) == 0
    advance_clock(connection, 2 * DAY_S)
    assert _evict(connection) == 1
    advance_clock(connection, 400 * DAY_S)
    assert _evict(connection) == 0
    assert _keys(connection) == {making}


@pytest.mark.parametrize("status", SessionStatus)
def test_the_matrix_of_an_active_session_stays(connection: Connection, status: SessionStatus) -> None:
    fence = session_at(connection, status)
    key = sessions.load_session(connection, fence.session_id).matrix_key
    if matrices.read_reference(connection, key) is None:
        store_matrix(connection, key)
    advance_clock(connection, 400 * DAY_S)
    assert _evict(connection) == status.terminal
    assert (_keys(connection) == set()) == status.terminal


def test_evicting_touches_no_session_and_no_history(connection: Connection) -> None:
    fence = session_at(connection, SessionStatus.COMPLETED)
    advance_clock(connection, 400 * DAY_S)
    before = sessions.load_session(connection, fence.session_id)
    assert _evict(connection) == 1
    assert sessions.load_session(connection, fence.session_id) == before
    assert connection.scalar(text("SELECT count(*) FROM matrix_generations")) == 1


def test_an_evicted_matrix_is_built_again_and_remembers_what_it_was(connection: Connection) -> None:
    first = store_matrix(connection, KEY)
    advance_clock(connection, 31 * DAY_S)
    assert _evict(connection) == 1
    assert matrices.load_payload(connection, KEY) is None
    again = begin(connection, KEY)
    assert isinstance(again, Started)
    assert (again.generation, again.previous_sha256) == (first.generation + 1, payload().payload_sha256)


def test_a_batch_takes_the_longest_unread_and_no_more(connection: Connection) -> None:
    for days in (40, 50, 60):
        store_matrix(connection, matrix_key(days))
        _unread_for(connection, matrix_key(days), days)
    assert _evict(connection, limit=2) == 2
    assert _keys(connection) == {matrix_key(40)}


def test_a_matrix_that_is_being_read_is_passed_over(engine: Engine) -> None:
    other = matrix_key("other")
    with transaction(engine) as conn:
        store_matrix(conn, KEY)
        store_matrix(conn, other)
        advance_clock(conn, 31 * DAY_S)
    with transaction(engine) as reader:
        read = matrices.load_payload(reader, KEY)
        assert read is not None
        with transaction(engine) as conn:
            assert _evict(conn) == 1
    with transaction(engine) as conn:
        assert _keys(conn) == {KEY}
        assert _evict(conn) == 0
        assert matrices.load_payload(conn, KEY) == read


def test_a_reader_gets_the_whole_matrix_or_none(engine: Engine) -> None:
    for _ in range(10):
        with transaction(engine) as conn:
            generation = store_matrix(conn, KEY)
            advance_clock(conn, 31 * DAY_S)

        def act(conn: Connection, number: int) -> object:
            return _evict(conn) if number == 0 else matrices.load_payload(conn, KEY)

        evicted, *readings = race(engine, 3, act)
        whole = [reading for reading in readings if reading is not None]
        for reading in whole:
            assert isinstance(reading, matrices.StoredMatrix)
            assert reading.reference.generation == generation.generation
            assert reading.payload == payload()
        with transaction(engine) as conn:
            assert (matrices.read_reference(conn, KEY) is None) == bool(evicted)
            matrices.invalidate(conn, KEY)


def test_many_cleaners_share_the_work_and_none_waits_for_another(engine: Engine) -> None:
    with transaction(engine) as conn:
        for number in range(12):
            store_matrix(conn, matrix_key(number))
        advance_clock(conn, 31 * DAY_S)
    evicted = race(engine, 3, lambda conn, _number: _evict(conn, limit=4))
    with transaction(engine) as conn:
        assert len(_keys(conn)) == 12 - sum(evicted)
        assert sum(evicted) + _evict(conn) == 12


def _jobs(conn: Connection) -> set[UUID]:
    return set(conn.scalars(text("SELECT session_id FROM job_outbox")))


def test_outbox_rows_go_when_their_session_has_ended_for_long_enough(connection: Connection) -> None:
    def delete() -> int:
        return delete_ended_jobs(connection, ended_s=30 * DAY_S, limit=100)

    completed = session_at(connection, SessionStatus.COMPLETED)
    cancelled = bridge_session(connection)
    sessions.cancel(connection, cancelled, "by the user")
    active = [bridge_session(connection), inline_session(connection).session_id]
    outbox.claim_jobs(connection, 1)
    advance_clock(connection, 29 * DAY_S)
    assert delete() == 0
    advance_clock(connection, 2 * DAY_S)
    recent = bridge_session(connection)
    sessions.cancel(connection, recent, "by the user")
    assert delete() == 2
    assert _jobs(connection) == {*active, recent}
    assert sessions.load_session(connection, completed.session_id).status is SessionStatus.COMPLETED
    assert delete() == 0


def test_a_batch_of_outbox_rows_begins_with_those_that_ended_first(connection: Connection) -> None:
    ended = []
    for _ in range(3):
        ended.append(bridge_session(connection))
        sessions.cancel(connection, ended[-1], "by the user")
        advance_clock(connection, DAY_S)
    assert delete_ended_jobs(connection, ended_s=0, limit=2) == 2
    assert _jobs(connection) == {ended[2]}


def test_a_row_that_somebody_holds_is_left_for_the_next_time(engine: Engine) -> None:
    with transaction(engine) as conn:
        held, free = bridge_session(conn), bridge_session(conn)
        for session_id in (held, free):
            sessions.cancel(conn, session_id, "by the user")
        advance_clock(conn, 31 * DAY_S)
    with transaction(engine) as holder:
        holder.execute(text("SELECT FROM job_outbox WHERE session_id = :id FOR UPDATE"), {"id": held})
        with transaction(engine) as conn:
            assert delete_ended_jobs(conn, ended_s=30 * DAY_S, limit=10) == 1
            assert _jobs(conn) == {held}
