"""From outbox row to flow run, against PostgreSQL, with Prefect's side in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, text

from core.session_states import SessionStatus
from db import listening, outbox, sessions
from db.engine import transaction
from db.fault_points import armed
from db.outbox import ClaimedJob
from db.settings import Settings
from deployments.bridge.bridge import CLAIMED_AT_ONCE, Bridge, Enqueuer
from deployments.bridge.circuit import Circuit
from deployments.bridge.metrics import BridgeCounters
from tasks.flow_runs import RunState
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session
from tests.db.store.lost_sessions import job_row, stray_session
from tests.flow_runs import FlowRunsInMemory
from tests.waiting import eventually

LONG_S = 3600.0


@pytest.fixture
def prefect() -> FlowRunsInMemory:
    return FlowRunsInMemory()


class OneBridge:
    """An enqueuer with what it counts and the clock of its circuit."""

    def __init__(self, engine: Engine, prefect: FlowRunsInMemory, pool: ThreadPoolExecutor) -> None:
        self.registry = CollectorRegistry()
        self.stopping = threading.Event()
        self.enqueuer = Enqueuer(engine, prefect, BridgeCounters(self.registry), self.stopping, pool)
        self.now = 0.0
        self.circuit = self.enqueuer._circuit = Circuit(self.enqueuer._probe, lambda: self.now)

    def counted(self, name: str) -> float:
        return self.registry.get_sample_value(f"vcfolio_{name}") or 0.0

    def turn_later(self) -> int:
        """When it is time for the circuit to probe again."""
        self.now += 60
        return self.enqueuer.turn()


@pytest.fixture
def bridge(engine: Engine, prefect: FlowRunsInMemory) -> Iterator[OneBridge]:
    with ThreadPoolExecutor(4) as pool:
        yield OneBridge(engine, prefect, pool)


def _request(engine: Engine, number: int = 1) -> list[UUID]:
    with transaction(engine) as conn:
        return [bridge_session(conn) for _ in range(number)]


def _job(engine: Engine, session_id: UUID) -> dict[str, object]:
    with transaction(engine) as conn:
        return job_row(conn, session_id)


def _by_status(engine: Engine) -> dict[str, int]:
    with transaction(engine) as conn:
        return dict(conn.execute(text("SELECT status, count(*) FROM job_outbox GROUP BY status")).all())


def test_each_row_becomes_one_flow_run_that_the_row_knows(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    ids = _request(engine, CLAIMED_AT_ONCE + 2)
    assert [bridge.enqueuer.turn() for _ in range(3)] == [CLAIMED_AT_ONCE, 2, 0]
    assert sorted(session_id for session_id, _ in prefect.parameters.values()) == sorted(ids)
    for session_id in ids:
        job = _job(engine, session_id)
        assert (job["status"], job["attempts"]) == ("enqueued", 1)
        assert prefect.parameters[job["flow_run_id"]] == (session_id, 0)
    assert bridge.counted("enqueued_total") == len(ids)
    assert bridge.counted("claim_latency_seconds_count") == len(ids)


def test_two_bridges_make_one_run_for_each_session(engine: Engine, prefect: FlowRunsInMemory) -> None:
    _request(engine, 30)
    together = threading.Barrier(2)

    def work(bridge: OneBridge) -> float:
        together.wait(timeout=60)
        while bridge.enqueuer.turn():
            pass
        return bridge.counted("enqueued_total")

    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(2) as bridges:
        enqueued = list(bridges.map(work, [OneBridge(engine, prefect, pool) for _ in range(2)]))
    assert sum(enqueued) == len(prefect.runs_by_key) == 30
    assert _by_status(engine) == {"enqueued": 30}


def test_an_answer_that_was_lost_makes_no_second_run(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    (session_id,) = _request(engine)
    prefect.answer_lost = 1
    assert bridge.enqueuer.turn() == 1
    job = _job(engine, session_id)
    assert (job["status"], job["attempts"], job["flow_run_id"]) == ("pending", 0, None)
    assert bridge.turn_later() == 1
    assert [_job(engine, session_id)["flow_run_id"]] == list(prefect.parameters)


@pytest.mark.parametrize("outages", [1, 7])
def test_an_outage_costs_no_attempt_and_the_backlog_drains(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge, outages: int
) -> None:
    _request(engine, 25)
    for failed in range(outages):
        prefect.away = "connection refused"
        bridge.turn_later()
        assert bridge.circuit.reason == "connection refused"
        # While the circuit is open nothing is claimed, and nobody is asked before it is time.
        probes = prefect.probes
        assert bridge.enqueuer.turn() == 0
        assert prefect.probes == probes
        assert bridge.counted("circuit_open") == 1
        assert bridge.counted("probes_failed_total") == failed
        prefect.away = None
    with transaction(engine) as conn:
        rows = set(conn.execute(text("SELECT status, attempts FROM job_outbox")))
    assert rows == {("pending", 0)}
    while bridge.turn_later():
        pass
    assert _by_status(engine) == {"enqueued": 25}
    assert (len(prefect.runs_by_key), bridge.counted("circuit_open")) == (25, 0)


def test_what_prefect_refuses_fails_alone_after_its_attempts(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    bad, good = _request(engine, 2)
    prefect.refused[bad] = "Prefect answered 409: no such parameter"
    for attempt in range(1, 4):
        bridge.enqueuer.turn()
        job = _job(engine, bad)
        assert (job["attempts"], job["last_error"]) == (attempt, prefect.refused[bad])
        with transaction(engine) as conn:
            advance_clock(conn, 300)
    assert bridge.enqueuer.turn() == 0
    with transaction(engine) as conn:
        session = sessions.load_session(conn, bad)
    assert (session.status, session.error_code, session.error_reason) == (
        SessionStatus.FAILED,
        "enqueue_failed",
        prefect.refused[bad],
    )
    assert _job(engine, good)["status"] == "enqueued"
    assert (bridge.counted("rejected_total"), bridge.circuit.reason) == (3, None)


def test_a_claim_that_was_taken_back_meanwhile_is_marked_by_whoever_has_it_now(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    (session_id,) = _request(engine)
    other: list[ClaimedJob] = []

    def take_back() -> None:
        with transaction(engine) as conn:
            advance_clock(conn, 301)
            assert len(outbox.reset_stuck(conn, 300)) == 1
        with transaction(engine) as conn:
            other.extend(outbox.claim_jobs(conn, 1))

    with armed("bridge.created", take_back):
        bridge.enqueuer.turn()
    job = _job(engine, session_id)
    assert (job["status"], job["claim_id"]) == ("processing", other[0].claim_id)
    assert (bridge.counted("claims_lost_total"), bridge.counted("enqueued_total")) == (1, 0)
    run = prefect.create(other[0], "a run")
    with transaction(engine) as conn:
        assert outbox.mark_enqueued(conn, {other[0]: run}) == {session_id}
    assert list(prefect.parameters) == [run]


def test_a_session_cancelled_while_its_run_is_made_stays_cancelled(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    (session_id,) = _request(engine)

    def cancel(job: ClaimedJob) -> None:
        with transaction(engine) as conn:
            assert sessions.cancel(conn, session_id, "by the user")

    prefect.on_create = cancel
    bridge.enqueuer.turn()
    assert _job(engine, session_id)["status"] == "failed"
    (run,) = prefect.parameters
    with transaction(engine) as conn:
        assert sessions.take_session(conn, *prefect.parameters[run], 45, "host:1") is None


def test_told_to_stop_it_gives_back_what_it_has_claimed(
    engine: Engine, prefect: FlowRunsInMemory, bridge: OneBridge
) -> None:
    _request(engine, 3)
    with armed("bridge.claimed", bridge.stopping.set):
        bridge.enqueuer.turn()
    with transaction(engine) as conn:
        assert set(conn.execute(text("SELECT status, attempts FROM job_outbox"))) == {("pending", 0)}
    assert prefect.runs_by_key == {}


@contextmanager
def _running(engine: Engine, prefect: FlowRunsInMemory, settings: Settings) -> Iterator[None]:
    stopping = threading.Event()
    bridge = Bridge(engine, settings, prefect.opened, BridgeCounters(CollectorRegistry()), stopping)
    thread = threading.Thread(target=bridge.run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        with transaction(engine) as conn:
            conn.execute(text(f"NOTIFY {outbox.CHANNEL}"))
        thread.join(timeout=60)
        assert not thread.is_alive()


LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE :name"


def _listeners(engine: Engine) -> list[bool]:
    with transaction(engine) as conn:
        ours = text(f"SELECT pid {LISTENERS}")
        return [bool(pid) for pid in conn.scalars(ours, {"name": "vcfolio listener%"})]


def test_a_notified_bridge_does_not_wait_for_its_poll(engine: Engine, prefect: FlowRunsInMemory) -> None:
    settings = Settings(home="/nowhere", bridge_poll_s=LONG_S, reap_every_s=1)
    with _running(engine, prefect, settings):
        assert eventually(lambda: _listeners(engine) == [True])
        _request(engine)
        assert eventually(lambda: _by_status(engine) == {"enqueued": 1})


def test_with_the_listener_cut_off_polling_takes_over_until_it_is_back(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(listening, "RECONNECT_AFTER_S", LONG_S)
    with _running(engine, prefect, Settings(home="/nowhere", bridge_poll_s=0.05, reap_every_s=1)):
        assert eventually(lambda: _listeners(engine) == [True])
        with transaction(engine) as conn:
            conn.execute(
                text(f"SELECT pg_terminate_backend(pid) {LISTENERS}"),
                {"name": "vcfolio listener%"},
            )
        assert eventually(lambda: "lost its connection" in caplog.text)
        _request(engine, 3)
        assert eventually(lambda: _by_status(engine) == {"enqueued": 3})
        assert _listeners(engine) == []
        monkeypatch.setattr(listening, "RECONNECT_AFTER_S", 0.0)
        assert eventually(lambda: _listeners(engine) == [True])


def test_a_running_bridge_heeds_cancels_without_waiting_for_its_reaper(
    engine: Engine, prefect: FlowRunsInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    run = prefect.add(RunState.BEGUN)
    with transaction(engine) as conn:
        session_id = stray_session(conn, run)
        prefect.ask_to_cancel(run, conn.execute(text("SELECT now()")).scalar_one())
    settings = Settings(home="/nowhere", bridge_poll_s=0.05, reap_every_s=LONG_S, cancel_poll_s=0.05)
    # Prefect is away at first.
    prefect.away = "connection refused"
    with _running(engine, prefect, settings):
        assert eventually(lambda: "cancels: connection refused" in caplog.text)
        prefect.away = None

        def cancelled() -> bool:
            with transaction(engine) as conn:
                return sessions.load_session(conn, session_id).error_code == sessions.CANCELLED

        assert eventually(cancelled)


def test_a_running_bridge_looks_after_lost_sessions_too(engine: Engine, prefect: FlowRunsInMemory) -> None:
    (session_id,) = _request(engine)
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM job_outbox"))
    with _running(engine, prefect, Settings(home="/nowhere", bridge_poll_s=0.05, reap_every_s=0.05)):

        def revived() -> bool:
            with transaction(engine) as conn:
                # Its first delay would be waited for.
                conn.execute(text("UPDATE job_outbox SET next_run_at = now() WHERE status = 'pending'"))
            return _by_status(engine) == {"enqueued": 1}

        assert eventually(revived)
    assert _job(engine, session_id)["epoch"] == 1
