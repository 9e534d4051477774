from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue

import pytest
from sqlalchemy import Engine, text

from db import listening
from db.engine import make_engine, transaction
from db.listening import Listener
from db.outbox import CHANNEL
from tests.db.store.examples import bridge_session, inline_session
from tests.waiting import eventually

PATIENCE_S = 60.0


@pytest.fixture
def listener(engine: Engine) -> Iterator[Listener]:
    with Listener(engine, CHANNEL) as listener:
        # The connection is made by the first wait.
        assert not listener.wait(0)
        yield listener


LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE :name"


def _cut(engine: Engine) -> None:
    with transaction(engine) as conn:
        cut = conn.scalars(
            text(f"SELECT pg_terminate_backend(pid) {LISTENERS}"),
            {"name": f"vcfolio listener {CHANNEL}%"},
        ).all()
    assert cut == [True]


def _connected(engine: Engine) -> int:
    with transaction(engine) as conn:
        statement = text(f"SELECT count(*) {LISTENERS}")
        return int(conn.scalar(statement, {"name": f"vcfolio listener {CHANNEL}%"}) or 0)


def test_a_new_row_ends_the_waiting(engine: Engine, listener: Listener) -> None:
    answers: Queue[bool] = Queue()
    waiting = threading.Thread(target=lambda: answers.put(listener.wait(PATIENCE_S)))
    waiting.start()
    with transaction(engine) as conn:
        bridge_session(conn)
    assert answers.get(timeout=PATIENCE_S)
    waiting.join()


def test_what_came_before_the_waiting_began_is_not_missed(engine: Engine, listener: Listener) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
    assert listener.wait(PATIENCE_S)
    assert not listener.wait(0)


def test_what_is_not_for_the_bridge_wakes_nobody(engine: Engine, listener: Listener) -> None:
    with transaction(engine) as conn:
        inline_session(conn)
        conn.execute(text("NOTIFY another_channel"))
    assert not listener.wait(0.05)


def test_a_transaction_that_is_rolled_back_wakes_nobody(engine: Engine, listener: Listener) -> None:
    with engine.connect() as conn:
        bridge_session(conn)
        conn.rollback()
    assert not listener.wait(0.05)


def test_a_lost_connection_is_said_polled_without_and_made_anew(
    engine: Engine, listener: Listener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut(engine)
    assert eventually(lambda: not listener.wait(0.01) and "lost its connection" in caplog.text)
    # Until it is time to try again it only waits, and notices nothing; the bridge looks by itself.
    with transaction(engine) as conn:
        bridge_session(conn)
    assert not listener.wait(0.01)
    assert _connected(engine) == 0
    monkeypatch.setattr(listening, "RECONNECT_AFTER_S", 0.0)
    listener.wait(0)
    assert _connected(engine) == 1
    with transaction(engine) as conn:
        bridge_session(conn)
    assert listener.wait(PATIENCE_S)


def test_a_database_that_is_away_ends_no_waiting_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = make_engine("postgresql://nobody:s3cret@127.0.0.1:1/none")
    with Listener(nowhere, CHANNEL) as listener:
        assert not listener.wait(0.01)
        assert not listener.wait(0.01)
    assert caplog.text.count("cannot connect") == 1
    assert "s3cret" not in caplog.text


def test_a_closed_listener_leaves_no_connection(engine: Engine) -> None:
    with Listener(engine, CHANNEL) as listener:
        listener.wait(0)
        assert _connected(engine) == 1
    assert eventually(lambda: _connected(engine) == 0)
