"""What the bridge says of itself, read back by the parser of whoever scrapes it."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sqlalchemy import Engine

from db import outbox, sessions
from db.engine import make_engine, transaction
from db.events import record_event
from db.tables.events import EventKind
from deployments.bridge.metrics import BridgeCounters, DatabaseCollector, serving_metrics
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, inline_session

Samples = dict[tuple[str, tuple[str, ...]], float]


def _samples(exposed: str) -> Samples:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
    }


def _registry(engine: Engine) -> tuple[CollectorRegistry, BridgeCounters]:
    registry = CollectorRegistry()
    counters = BridgeCounters(registry)
    registry.register(DatabaseCollector(engine))
    return registry, counters


def _scrape(registry: CollectorRegistry) -> Samples:
    return _samples(generate_latest(registry).decode())


def test_the_figures_are_those_of_the_database(engine: Engine) -> None:
    registry, _ = _registry(engine)
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
        inline_session(conn)
        bridge_session(conn)
        outbox.claim_jobs(conn, 1)
        cancelled = bridge_session(conn)
        sessions.cancel(conn, cancelled, "by the user")
        for kind, times in {EventKind.RESCUED: 3, EventKind.GIVEN_UP: 1, EventKind.STALE_WRITE_REFUSED: 2}.items():
            for _ in range(times):
                record_event(conn, session_id, 0, kind, "because")
        advance_clock(conn, 90)
    scraped = _scrape(registry)
    depth = {labels[0]: value for (name, labels), value in scraped.items() if name == "vcfolio_outbox_depth"}
    assert depth == {"pending": 1, "processing": 1, "enqueued": 1, "failed": 0}
    rescues = {labels[0]: value for (name, labels), value in scraped.items() if name == "vcfolio_rescues_total"}
    assert rescues == {"rescued": 3, "restarted": 0, "revived": 0, "given_up": 1}
    assert scraped["vcfolio_stale_writes_refused_total", ()] == 2
    assert scraped["vcfolio_sessions_waiting", ()] == 3
    assert scraped["vcfolio_database_up", ()] == 1
    for age in ("vcfolio_outbox_oldest_due_seconds", "vcfolio_sessions_oldest_waiting_seconds"):
        assert 90 <= scraped[age, ()] < 3600


def test_the_counters_are_those_of_the_bridge(engine: Engine) -> None:
    registry, counters = _registry(engine)
    counters.enqueued.inc(3)
    counters.claims_lost.inc()
    counters.circuit_open.set(1)
    counters.waited.observe(0.02)
    counters.waited.observe(400)
    scraped = _scrape(registry)
    assert scraped["vcfolio_enqueued_total", ()] == 3
    assert scraped["vcfolio_rejected_total", ()] == 0
    assert scraped["vcfolio_claims_lost_total", ()] == 1
    assert scraped["vcfolio_circuit_open", ()] == 1
    buckets = {labels: value for (name, labels), value in scraped.items() if name.endswith("latency_seconds_bucket")}
    assert (buckets[("0.01",)], buckets[("0.025",)], buckets[("300.0",)], buckets[("+Inf",)]) == (0, 1, 1, 2)


def test_without_a_database_the_rest_is_still_told() -> None:
    registry, counters = _registry(make_engine("postgresql://nobody:none@127.0.0.1:1/none"))
    counters.enqueued.inc()
    scraped = _scrape(registry)
    assert scraped["vcfolio_database_up", ()] == 0
    assert scraped["vcfolio_enqueued_total", ()] == 1
    assert not [name for name, _ in scraped if name.startswith(("vcfolio_outbox", "vcfolio_sessions"))]


def test_they_are_served_as_openmetrics_on_this_machine_alone(engine: Engine) -> None:
    registry, _ = _registry(engine)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving_metrics(registry, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert _samples(answer.read().decode())["vcfolio_database_up", ()] == 1
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)
        refused.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)


def test_without_a_port_nothing_is_served(engine: Engine) -> None:
    registry, _ = _registry(engine)
    with serving_metrics(registry, None):
        pass
