"""Several connections at once: exactly one of them wins, and the others are told so."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, Engine, text

from core.errors import Conflict
from core.session_states import SessionStatus
from db import session_rows, sessions
from db.engine import transaction
from tests.db.store.examples import (
    bridge_session,
    expire_session_lease,
    inline_session,
    new_session,
    race,
    session_at,
    store_allocation,
)


def test_twenty_requests_with_one_client_key_create_one_session(engine: Engine) -> None:
    def create(conn: Connection, number: int) -> session_rows.CreatedSession:
        new = new_session(conn, client_key="click")
        return sessions.create_session(conn, new, "inline", 45, f"host:{number}")

    created = race(engine, 20, create)
    assert sorted(one.created for one in created) == [False] * 19 + [True]
    assert len({one.session.session_id for one in created}) == 1
    assert len([one for one in created if one.lease_token is not None]) == 1
    with transaction(engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM job_outbox")) == 1


def test_of_different_requests_with_one_client_key_one_is_served(engine: Engine) -> None:
    def create(conn: Connection, number: int) -> UUID | None:
        new = new_session(conn, client_key="click", request_hash=f"request {number}")
        try:
            return sessions.create_session(conn, new, "bridge", None, None).session.session_id
        except Conflict:
            return None

    assert len([served for served in race(engine, 6, create) if served is not None]) == 1


def test_a_free_session_is_taken_by_one_run(engine: Engine) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
    tokens = race(engine, 8, lambda conn, number: sessions.take_session(conn, session_id, 0, 45, f"host:{number}"))
    assert len([token for token in tokens if token is not None]) == 1


def test_an_expired_lease_is_taken_over_or_extended_and_not_both(engine: Engine) -> None:
    with transaction(engine) as conn:
        fence = inline_session(conn)
        expire_session_lease(conn, fence.session_id)

    def act(conn: Connection, number: int) -> bool:
        if number == 0:
            return sessions.extend_lease(conn, fence, 45, None)
        return sessions.take_session(conn, fence.session_id, 0, 45, "host:2") is not None

    assert sorted(race(engine, 2, act)) == [False, True]


def test_of_cancel_and_completion_the_first_stands(engine: Engine) -> None:
    with transaction(engine) as conn:
        fence = session_at(conn, SessionStatus.VALIDATING)

    def act(conn: Connection, number: int) -> bool:
        if number == 0:
            return sessions.cancel(conn, fence.session_id, "by the user")
        return sessions.complete(conn, fence, {"feasible": True})

    cancelled, completed = race(engine, 2, act)
    assert cancelled != completed
    with transaction(engine) as conn:
        status = sessions.load_session(conn, fence.session_id).status
    assert status is (SessionStatus.FAILED if cancelled else SessionStatus.COMPLETED)


def test_a_stage_is_stored_once_however_often_it_is_reported(engine: Engine) -> None:
    with transaction(engine) as conn:
        fence = session_at(conn, SessionStatus.OPTIMIZING)
    assert sorted(race(engine, 4, lambda conn, _number: store_allocation(conn, fence))) == [False] * 3 + [True]


def test_a_session_is_reopened_once_for_each_epoch(engine: Engine) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
    epochs = race(engine, 6, lambda conn, _number: sessions.reopen(conn, session_id, 0, force=True))
    assert sorted(epochs, key=str) == [1] + [None] * 5


def test_a_new_session_wakes_whoever_listens_and_an_inline_one_does_not(engine: Engine) -> None:
    with engine.connect() as listener:
        listener.execute(text("LISTEN vcfolio_outbox"))
        listener.commit()
        with transaction(engine) as conn:
            inline_session(conn)
        with transaction(engine) as conn:
            bridge_session(conn)
        driver = listener.connection.driver_connection
        assert driver is not None
        woken = [notification.channel for notification in driver.notifies(timeout=10, stop_after=1)]
        again = [notification.channel for notification in driver.notifies(timeout=0)]
    assert (woken, again) == (["vcfolio_outbox"], [])
