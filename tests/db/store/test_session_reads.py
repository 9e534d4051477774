from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from core.session_states import SessionStatus
from db import sessions
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID, add_fund, add_member, funds_of, local_user_id, role_in
from db.session_reads import list_sessions, newest_request, session_status
from db.tables.owners import FundRole
from tests.db.store.examples import bridge_session, inline_session, new_session, session_at
from tests.waiting import eventually


def _user(conn: Connection, name: str, fund: UUID = EXAMPLE_FUND_ID, role: FundRole = FundRole.VIEWER) -> UUID:
    add_member(conn, fund, name, role)
    return UUID(str(conn.scalar(text("SELECT id FROM users WHERE name = :name"), {"name": name})))


def _asked_at(conn: Connection, session_id: UUID, minutes_ago: int) -> None:
    conn.execute(
        text(
            "UPDATE optimization_sessions SET created_at = now() - make_interval(mins => :ago) WHERE session_id = :id"
        ),
        {"ago": minutes_ago, "id": session_id},
    )


def test_a_member_sees_the_status_and_nobody_else_does(connection: Connection) -> None:
    viewer = _user(connection, "vera")
    stranger = _user(connection, "sten", add_fund(connection, "Other", local_user_id(connection)).id)
    session_id = bridge_session(connection)
    seen = session_status(connection, session_id, viewer)
    assert seen is not None
    assert (seen.status, seen.role, seen.created_by_name) == (SessionStatus.REQUESTED, FundRole.VIEWER, "local")
    assert session_status(connection, session_id, stranger) is None
    assert session_status(connection, uuid4(), viewer) is None


def test_those_who_wait_know_their_place(connection: Connection) -> None:
    user = local_user_id(connection)
    waiting = [bridge_session(connection) for _ in range(3)]
    for place, session_id in enumerate(waiting):
        _asked_at(connection, session_id, 10 - place)
    begun = session_at(connection, SessionStatus.MATRIX_GENERATING).session_id
    places = [session_status(connection, session_id, user) for session_id in (*waiting, begun)]
    assert [place and place.queue_position for place in places] == [1, 2, 3, None]


@pytest.mark.parametrize("status", list(SessionStatus))
def test_every_state_can_be_read(connection: Connection, status: SessionStatus) -> None:
    user = local_user_id(connection)
    session_id = session_at(connection, status).session_id
    seen = session_status(connection, session_id, user)
    assert seen is not None
    assert seen.status is status
    assert [summary.status for summary in list_sessions(connection, user, limit=10)] == [status]


def test_pages_hold_every_session_once_even_where_times_are_equal(connection: Connection) -> None:
    user = local_user_id(connection)
    # All in one transaction, so all at one time.
    asked = {bridge_session(connection) for _ in range(7)}
    pages, before = [], None
    while page := list_sessions(connection, user, before=before, limit=3):
        pages.append([summary.session_id for summary in page])
        before = (page[-1].created_at, page[-1].session_id)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert {session_id for page in pages for session_id in page} == asked


def test_lists_show_the_users_own_funds_newest_first(connection: Connection) -> None:
    local = local_user_id(connection)
    other = add_fund(connection, "Other", local).id
    viewer = _user(connection, "vera")
    here = bridge_session(connection)
    there = sessions.create_session(
        connection, new_session(connection, fund_id=other), "bridge", None, None
    ).session.session_id
    _asked_at(connection, here, 5)
    assert [summary.session_id for summary in list_sessions(connection, local, limit=10)] == [there, here]
    assert [summary.session_id for summary in list_sessions(connection, viewer, limit=10)] == [here]
    assert [summary.fund_name for summary in list_sessions(connection, local, fund_id=other, limit=10)] == ["Other"]
    assert list_sessions(connection, viewer, fund_id=other, limit=10) == []
    assert list_sessions(connection, local, status=SessionStatus.COMPLETED, limit=10) == []
    assert len(list_sessions(connection, local, status=SessionStatus.REQUESTED, limit=10)) == 2


def test_figures_and_relaxations_are_listed_once_there_are_any(connection: Connection) -> None:
    user = local_user_id(connection)
    fence = session_at(connection, SessionStatus.OPTIMIZING)
    (before,) = list_sessions(connection, user, limit=10)
    assert (before.expected_moic, before.relaxed) == (None, False)
    figures = {"expectedMoic": 2.5, "lossProbability": 0.1, "cvar": 0.2, "expectedWinners": 3.0}
    assert sessions.store_allocation(
        connection,
        fence,
        allocation=[],
        solver_metadata={"figures": figures, "relaxations": [{"constraintId": "cvar_max"}]},
        pass1_e_star=2.5,
        primary_lock_epsilon=0.001,
    )
    (after,) = list_sessions(connection, user, limit=10)
    shown = (after.expected_moic, after.loss_probability, after.cvar, after.expected_winners, after.relaxed)
    assert shown == (2.5, 0.1, 0.2, 3.0, True)
    assert after.verdict is None
    with_verdict = {"schemaVersion": 2, "verdict": {"status": "broken"}}
    assert sessions.complete(connection, fence, with_verdict)
    (judged,) = list_sessions(connection, user, limit=10)
    assert judged.verdict == "broken"


def test_the_newest_request_is_the_funds_own(connection: Connection) -> None:
    assert newest_request(connection, EXAMPLE_FUND_ID) is None
    older = sessions.create_session(connection, new_session(connection, request={"n": 1}), "bridge", None, None)
    _asked_at(connection, older.session.session_id, 5)
    sessions.create_session(connection, new_session(connection, request={"n": 2}), "bridge", None, None)
    assert newest_request(connection, EXAMPLE_FUND_ID) == {"n": 2}


def test_roles_are_told_by_fund(connection: Connection) -> None:
    local = local_user_id(connection)
    viewer = _user(connection, "vera")
    assert role_in(connection, EXAMPLE_FUND_ID, local) is FundRole.OWNER
    assert role_in(connection, EXAMPLE_FUND_ID, viewer) is FundRole.VIEWER
    assert role_in(connection, EXAMPLE_FUND_ID, uuid4()) is None
    assert role_in(connection, uuid4(), local) is None
    assert [(fund.id, role) for fund, role in funds_of(connection, viewer)] == [(EXAMPLE_FUND_ID, FundRole.VIEWER)]


def test_postgresql_says_which_session_changed_and_is_silent_on_heartbeats(engine: Engine) -> None:
    with engine.connect() as listening:
        raw = listening.connection.driver_connection
        assert raw is not None
        raw.autocommit = True
        raw.execute("LISTEN vcfolio_sessions")
        with transaction(engine) as conn:
            fence = inline_session(conn)
        with transaction(engine) as conn:
            sessions.extend_lease(conn, fence, 45, None)  # nothing to see
        with transaction(engine) as conn:
            sessions.extend_lease(conn, fence, 45, {"stage": "matrix"})
        with transaction(engine) as conn:
            sessions.extend_lease(conn, fence, 45, {"stage": "matrix"})  # the same again
        with transaction(engine) as conn:
            sessions.start_matrix(conn, fence)
        heard: list[str] = []

        def all_heard() -> bool:
            heard.extend(notice.payload for notice in raw.notifies(timeout=0.2))
            return len(heard) >= 3

        eventually(all_heard)
        heard.extend(notice.payload for notice in raw.notifies(timeout=0))
    assert heard == [str(fence.session_id)] * 3
