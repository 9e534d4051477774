"""Requests as clients make them: once, again after a lost answer, many at once, and too many."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from core.errors import Conflict, TooManyWaiting
from core.request import OptimizationRequest, parse_request
from db import session_rows, sessions
from db.bootstrap import prepare_database
from db.engine import make_engine, transaction
from db.fault_points import armed
from db.funds import local_user_id
from db.requests import request_session
from db.session_rows import CreatedSession
from db.settings import Settings
from tests.small_request import SMALL

SETTINGS = Settings(home="/nowhere", max_waiting_sessions=3, retry_after_s=17)
AT_ONCE = 20

REQUEST = parse_request(SMALL)
OTHER = parse_request({**SMALL, "totalFundSize": 90_000_000})


@pytest.fixture
def ready(engine: Engine) -> Engine:
    prepare_database(engine)
    return engine


@pytest.fixture
def many_connections(ready: Engine) -> Iterator[Engine]:
    many = make_engine(ready.url.render_as_string(hide_password=False), max_connections=AT_ONCE)
    yield many
    many.dispose()


def _ask(
    engine: Engine, client_key: str | None = None, request: OptimizationRequest = REQUEST, settings: Settings = SETTINGS
) -> CreatedSession:
    with transaction(engine) as conn:
        user = local_user_id(conn)
    return request_session(engine, settings, request, created_by=user, credential="test", client_key=client_key)


def _stored(engine: Engine) -> tuple[int, int]:
    with transaction(engine) as conn:
        counts = conn.execute(
            text("SELECT (SELECT count(*) FROM optimization_sessions), (SELECT count(*) FROM job_outbox)")
        ).one()
    return counts[0], counts[1]


def test_a_request_whose_answer_was_lost_is_repeated_without_harm(ready: Engine) -> None:
    class AnswerLost(Exception):
        pass

    def lose() -> None:
        raise AnswerLost

    with armed("create.after_commit", lose), pytest.raises(AnswerLost):
        _ask(ready, "click")
    assert _stored(ready) == (1, 1)
    again = _ask(ready, "click")
    assert not again.created
    assert again.session.epoch == 0
    assert _stored(ready) == (1, 1)


def test_a_request_that_dies_before_it_is_stored_leaves_nothing(ready: Engine) -> None:
    class Killed(Exception):
        pass

    def die() -> None:
        raise Killed

    with armed("create.before_commit", die), pytest.raises(Killed):
        _ask(ready, "click")
    assert _stored(ready) == (0, 0)
    assert _ask(ready, "click").created


def test_another_body_with_that_key_is_refused(ready: Engine) -> None:
    first = _ask(ready, "click")
    with pytest.raises(Conflict, match=str(first.session.session_id)):
        _ask(ready, "click", OTHER)
    assert _stored(ready) == (1, 1)


def test_twenty_at_once_with_one_key_are_one_session_and_one_row(many_connections: Engine) -> None:
    barrier = Barrier(AT_ONCE)
    with transaction(many_connections) as conn:
        user = local_user_id(conn)

    def ask(_number: int) -> tuple[UUID, bool]:
        barrier.wait(timeout=60)
        created = request_session(
            many_connections, SETTINGS, REQUEST, created_by=user, credential="test", client_key="click"
        )
        return created.session.session_id, created.created

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert len({session_id for session_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert _stored(many_connections) == (1, 1)


def test_beyond_the_limit_a_request_is_refused_with_a_time_and_nothing_is_stored(ready: Engine) -> None:
    for _ in range(3):
        _ask(ready)
    with pytest.raises(TooManyWaiting, match=r"3 sessions are waiting.*again in 17 seconds") as refused:
        _ask(ready)
    assert refused.value.retry_after_s == 17
    assert _stored(ready) == (3, 3)


def test_a_repeat_is_never_refused(ready: Engine) -> None:
    first = _ask(ready, "click")
    for _ in range(2):
        _ask(ready)
    with pytest.raises(TooManyWaiting):
        _ask(ready, "another click")
    assert _ask(ready, "click").session == first.session


def test_a_refused_key_may_be_used_again_later(ready: Engine) -> None:
    waiting = [_ask(ready).session.session_id for _ in range(3)]
    with pytest.raises(TooManyWaiting):
        _ask(ready, "click")
    with transaction(ready) as conn:
        assert sessions.cancel(conn, waiting[0], "by the user")
    assert _ask(ready, "click").created


def test_sessions_that_a_run_has_begun_do_not_wait(ready: Engine) -> None:
    for _ in range(3):
        session_id = _ask(ready).session.session_id
        with transaction(ready) as conn:
            token = sessions.take_session(conn, session_id, 0, 45, "host:1")
            assert token is not None
            assert sessions.start_matrix(conn, session_rows.Fence(session_id, 0, token))
    assert _ask(ready).created
