from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from core.session_states import SessionStatus
from db import sessions
from db.access import list_tokens, revoke_token
from db.engine import transaction
from db.session_rows import Fence
from tests.db.api.serving import Served
from tests.db.store.examples import inline_session, session_at, store_matrix
from tests.waiting import eventually

PATIENCE_S = 60


def _statuses(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            assert event == "status"
            yield json.loads(value)


class _Follower:
    """A client that follows a session in a thread of its own."""

    def __init__(self, client: httpx.Client, session_id: UUID) -> None:
        self.seen: Queue[dict[str, Any] | None] = Queue()
        self._thread = threading.Thread(target=self._follow, args=(client, session_id))
        self._thread.start()

    def _follow(self, client: httpx.Client, session_id: UUID) -> None:
        with client.stream("GET", f"/api/optimization/sessions/{session_id}/events", timeout=PATIENCE_S) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for status in _statuses(answer.iter_lines()):
                self.seen.put(status)
        self.seen.put(None)

    def next(self) -> dict[str, Any] | None:
        return self.seen.get(timeout=PATIENCE_S)

    def end(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def _asked(served: Served) -> Fence:
    with transaction(served.engine) as conn:
        return inline_session(conn)


def test_a_session_is_followed_from_its_state_now_to_its_end(served: Served) -> None:
    fence = _asked(served)
    with served.client(served.token()) as client:
        follower = _Follower(client, fence.session_id)
        first = follower.next()
        assert first is not None
        assert first["status"] == "REQUESTED"
        with transaction(served.engine) as conn:
            assert sessions.start_matrix(conn, fence)
        assert (follower.next() or {})["status"] == "MATRIX_GENERATING"
        progress = {"stage": "optimize", "step": "primary solve", "objective": 2.0, "bound": 2.5}
        with transaction(served.engine) as conn:
            generation = store_matrix(conn, sessions.load_session(conn, fence.session_id).matrix_key).generation
            assert sessions.start_optimizing(conn, fence, generation, "generated")
            assert sessions.extend_lease(conn, fence, 45, progress)
        solving = follower.next() or {}
        assert solving["progress"] == {"step": "primary solve", "objective": 2.0, "bound": 2.5, "gap": 0.25}
        with transaction(served.engine) as conn:
            assert sessions.cancel(conn, fence.session_id, "enough")
        assert (follower.next() or {})["errorCode"] == "cancelled"
        assert follower.next() is None
        follower.end()


def test_one_that_has_ended_says_so_once(served: Served) -> None:
    with transaction(served.engine) as conn:
        session_id = session_at(conn, SessionStatus.FAILED).session_id
    with served.client(served.token()) as client:
        follower = _Follower(client, session_id)
        assert [(follower.next() or {}).get("status"), follower.next()] == ["FAILED", None]
        follower.end()


def test_a_lost_connection_to_the_database_loses_no_change(served: Served) -> None:
    fence = _asked(served)

    def listeners() -> list[int]:
        with transaction(served.engine) as conn:
            statement = text(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'vcfolio listener vcfolio_sessions'"
            )
            return list(conn.scalars(statement))

    with served.client(served.token()) as client:
        follower = _Follower(client, fence.session_id)
        assert (follower.next() or {})["status"] == "REQUESTED"
        assert eventually(lambda: len(listeners()) == 1)
        with transaction(served.engine) as conn:
            conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": listeners()[0]})
            assert sessions.cancel(conn, fence.session_id, "while nobody listened")
        assert (follower.next() or {})["errorReason"] == "while nobody listened"
        assert follower.next() is None
        follower.end()


def test_a_member_who_leaves_the_fund_receives_no_more_events(served: Served) -> None:
    fence = _asked(served)
    with served.client(served.token("vera")) as client:
        follower = _Follower(client, fence.session_id)
        assert follower.next() is not None
        with transaction(served.engine) as conn:
            conn.execute(text("DELETE FROM fund_members m USING users u WHERE u.id = m.user_id AND u.name = 'vera'"))
            assert sessions.start_matrix(conn, fence)
        assert follower.next() is None
        follower.end()


def test_a_revoked_token_hears_no_more(served: Served) -> None:
    fence = _asked(served)
    with served.client(served.token(name="followed")) as client:
        follower = _Follower(client, fence.session_id)
        assert follower.next() is not None
        with transaction(served.engine) as conn:
            (token,) = [one for one in list_tokens(conn) if one.name == "followed"]
            assert revoke_token(conn, token.token_id)
        assert follower.next() is None  # at once, without a change of the session
        follower.end()


def test_who_logs_out_hears_no_more(served: Served) -> None:
    fence = _asked(served)
    with served.logged_in() as client:
        follower = _Follower(client, fence.session_id)
        assert follower.next() is not None
        with served.client() as other:  # another window of the same browser
            other.cookies = client.cookies
            csrf = {"csrf_token": served.csrf_token(client)}
            assert other.post("/logout", data=csrf).status_code == 303
        assert follower.next() is None
        follower.end()


def test_a_credential_that_expires_hears_no_more(served: Served) -> None:
    fence = _asked(served)
    with served.client(served.token()) as client:
        follower = _Follower(client, fence.session_id)
        assert follower.next() is not None
        with transaction(served.engine) as conn:
            conn.execute(text("UPDATE access_tokens SET created_at = now() - interval '2 h', expires_at = now()"))
            assert sessions.start_matrix(conn, fence)
        assert follower.next() is None
        follower.end()
