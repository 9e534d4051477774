"""What the bridge counts and what it finds in the database, as OpenMetrics text.

Source of the format: OpenMetrics 1.0 (RFC draft-richih-opsawg-openmetrics-00).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from core.errors import Unavailable
from db.engine import transaction
from db.events import count_events
from db.queue import queue_figures
from db.tables.events import EventKind
from deployments.bridge.name import BRIDGE

RESCUES = (EventKind.RESCUED, EventKind.RESTARTED, EventKind.REVIVED, EventKind.GIVEN_UP)
LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 60.0, 300.0)


class BridgeCounters:
    """Of this process, since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waited = Histogram(
            "vcfolio_claim_latency_seconds",
            "How long a row had been due when this bridge claimed it.",
            registry=registry,
            buckets=LATENCY_BUCKETS_S,
        )
        self.enqueued = Counter("vcfolio_enqueued", "Flow runs created by this bridge.", registry=registry)
        self.rejected = Counter("vcfolio_rejected", "Rows rejected by Prefect.", registry=registry)
        self.claims_lost = Counter(
            "vcfolio_claims_lost", "Claims lost before their flow run was recorded.", registry=registry
        )
        self.probes_failed = Counter(
            "vcfolio_probes_failed", "Failed probes of Prefect while it was unreachable.", registry=registry
        )
        self.circuit_open = Gauge(
            "vcfolio_circuit_open", "1 while Prefect is unreachable and nothing is claimed.", registry=registry
        )


class DatabaseCollector(Collector):
    """Of the whole installation, read when asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        return []  # so that registering asks nothing of the database

    def collect(self) -> Iterator[Metric]:
        try:
            with transaction(self._engine) as conn:
                figures, events = queue_figures(conn, BRIDGE), count_events(conn)
        except Unavailable:
            yield GaugeMetricFamily("vcfolio_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("vcfolio_database_up", "Whether the database answers.", value=1)
        depth = GaugeMetricFamily(
            "vcfolio_outbox_depth", "Rows of sessions and frontiers that have not ended.", labels=["status"]
        )
        for status, rows in figures.depth.items():
            depth.add_metric([status.value], rows)
        yield depth
        yield GaugeMetricFamily(
            "vcfolio_outbox_oldest_due_seconds",
            "How long the longest due row has been due.",
            value=figures.oldest_due_s,
        )
        yield GaugeMetricFamily("vcfolio_sessions_waiting", "Sessions that no run has begun.", value=figures.waiting)
        yield GaugeMetricFamily(
            "vcfolio_sessions_oldest_waiting_seconds", "Age of the oldest of them.", value=figures.oldest_waiting_s
        )
        yield GaugeMetricFamily(
            "vcfolio_frontiers_waiting", "Frontiers that no run has begun.", value=figures.frontiers_waiting
        )
        rescues = CounterMetricFamily(
            "vcfolio_rescues",
            "Sessions restarted after their run was lost, or failed after too many attempts.",
            labels=["kind"],
        )
        for kind in RESCUES:
            rescues.add_metric([kind.value], events[kind])
        yield rescues
        yield CounterMetricFamily(
            "vcfolio_stale_writes_refused",
            "Writes refused because the run had lost its session.",
            value=events[EventKind.STALE_WRITE_REFUSED],
        )


@contextmanager
def serving_metrics(registry: CollectorRegistry, port: int | None) -> Iterator[None]:
    """On http://127.0.0.1:port/metrics while the block lasts; nowhere for None."""
    if port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404, "the metrics are at /metrics")
                return
            body: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Scrapes are not worth a line each."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
