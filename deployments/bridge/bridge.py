"""Claims due outbox rows, has their flow runs made, and marks them; looks after lost sessions beside that."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID

from sqlalchemy import Engine

from core.errors import Unavailable
from db import outbox
from db.engine import transaction
from db.fault_points import fault_point
from db.listening import Listener
from db.outbox import ClaimedJob
from db.settings import Settings
from db.tables.outbox import JobStatus
from deployments.bridge.circuit import Circuit
from deployments.bridge.metrics import BridgeCounters
from tasks.cancelling import propagate_cancellations
from tasks.flow_runs import FlowRuns, Rejected
from tasks.reaping import reap
from tasks.run_names import frontier_run_name, session_run_name

logger = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 10
CREATED_AT_ONCE = 4
JITTER = 0.3


class FlowRunMaker(FlowRuns, Protocol):
    """See `deployments.prefect.flow_runs.PrefectFlowRuns`."""

    def probe(self) -> None: ...

    def create(self, job: ClaimedJob, name: str) -> UUID: ...


class Bridge:
    """Any number of them may work on one outbox. `stopping` makes it finish what it has claimed, and end."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        open_flow_runs: Callable[[], AbstractContextManager[FlowRunMaker]],
        counters: BridgeCounters,
        stopping: threading.Event,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._open_flow_runs = open_flow_runs
        self._counters = counters
        self._stopping = stopping

    def run(self) -> None:
        """Until `stopping` is set. Neither a database nor a Prefect server that is away ends it."""
        lookers = [
            threading.Thread(target=self._again_and_again, args=(every_s, look), name=name, daemon=True)
            for name, every_s, look in (
                ("reaper", self._settings.reap_every_s, self._reap),
                ("cancels", self._settings.cancel_poll_s, self._propagate_cancellations),
            )
        ]
        for looker in lookers:
            looker.start()
        with (
            self._open_flow_runs() as flow_runs,
            Listener(self._engine, outbox.CHANNEL) as listener,
            ThreadPoolExecutor(CREATED_AT_ONCE, thread_name_prefix="create") as pool,
        ):
            enqueuer = Enqueuer(self._engine, flow_runs, self._counters, self._stopping, pool)
            while not self._stopping.is_set():
                if not self._turn(enqueuer):
                    listener.wait(self._settings.bridge_poll_s * random.uniform(1 - JITTER, 1))  # noqa: S311
        for looker in lookers:
            looker.join()

    def _turn(self, enqueuer: Enqueuer) -> bool:
        """Whether there was anything to do."""
        try:
            return enqueuer.turn() > 0
        except Unavailable as error:
            logger.warning("the outbox cannot be read: %s", error)
            return False

    def _again_and_again(self, every_s: float, look: Callable[[FlowRuns], None]) -> None:
        name, away = threading.current_thread().name, False
        with self._open_flow_runs() as flow_runs:
            while not self._stopping.wait(every_s):
                try:
                    look(flow_runs)
                    away = False
                except Unavailable as error:
                    if not away:
                        logger.warning("%s: %s", name, error)
                    away = True
                except Exception:
                    # An unexpected error in one pass must not end the loop.
                    logger.exception("%s: this pass failed", name)

    def _reap(self, flow_runs: FlowRuns) -> None:
        report = reap(self._engine, self._settings, flow_runs)
        if report.claims_taken_back or report.frontiers or any(report.sessions.values()):
            logger.info("reaper: %s", report)

    def _propagate_cancellations(self, flow_runs: FlowRuns) -> None:
        propagate_cancellations(self._engine, self._settings, flow_runs)


class Enqueuer:
    """From claim to mark. While the circuit is open nothing is claimed."""

    def __init__(
        self,
        engine: Engine,
        flow_runs: FlowRunMaker,
        counters: BridgeCounters,
        stopping: threading.Event,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._engine = engine
        self._flow_runs = flow_runs
        self._counters = counters
        self._stopping = stopping
        self._pool = pool
        self._circuit = Circuit(self._probe)

    def turn(self) -> int:
        """Claims and enqueues one batch; returns how many rows it claimed. Raises Unavailable: the database is away."""
        if not self._circuit_allows():
            return 0
        fault_point("bridge.before_claim")
        with transaction(self._engine) as conn:
            jobs = outbox.claim_jobs(conn, CLAIMED_AT_ONCE)
        if not jobs:
            return 0
        fault_point("bridge.claimed")
        for job in jobs:
            self._counters.waited.observe(max(job.waited_s, 0.0))
        outcomes = dict(zip(jobs, self._pool.map(self._create, jobs), strict=True))
        fault_point("bridge.created")
        self._mark({job: outcome for job, outcome in outcomes.items() if isinstance(outcome, UUID)})
        self._release([job for job, outcome in outcomes.items() if outcome is None])
        for job, outcome in outcomes.items():
            if isinstance(outcome, Rejected):
                self._fail(job, str(outcome))
        return len(jobs)

    def _create(self, job: ClaimedJob) -> UUID | Rejected | None:
        """None: not made, and not the row's fault."""
        if self._circuit.reason is not None or self._stopping.is_set():
            return None
        try:
            return self._flow_runs.create(job, _run_name(job))
        except Rejected as error:
            return error
        except Unavailable as error:
            if self._circuit.reason is None:
                logger.warning("nothing is enqueued until Prefect answers again: %s", error)
            self._circuit.trip(str(error))
            return None

    def _mark(self, made: dict[ClaimedJob, UUID]) -> None:
        if not made:
            return
        with transaction(self._engine) as conn:
            marked = outbox.mark_enqueued(conn, made)
        for job, flow_run_id in made.items():
            if job.subject_id in marked:
                self._counters.enqueued.inc()
                logger.info("%s is flow run %s", _subject(job), flow_run_id, extra=_fields(job))
            else:
                self._counters.claims_lost.inc()
                logger.warning("%s: the claim was lost before its run was noted", _subject(job), extra=_fields(job))

    def _release(self, jobs: Sequence[ClaimedJob]) -> None:
        if jobs:
            with transaction(self._engine) as conn:
                outbox.release_claims(conn, jobs)

    def _fail(self, job: ClaimedJob, reason: str) -> None:
        with transaction(self._engine) as conn:
            status = outbox.fail_claim(conn, job, reason)
        self._counters.rejected.inc()
        end = "it fails" if status is JobStatus.FAILED else "it is tried again"
        logger.warning("%s: %s; %s", _subject(job), reason, end, extra=_fields(job))

    def _probe(self) -> None:
        try:
            self._flow_runs.probe()
        except Unavailable:
            self._counters.probes_failed.inc()
            raise

    def _circuit_allows(self) -> bool:
        was_open = self._circuit.reason is not None
        allows = self._circuit.allows()
        if was_open and allows:
            logger.info("Prefect answers again")
        self._counters.circuit_open.set(not allows)
        return allows


def _run_name(job: ClaimedJob) -> str:
    if job.frontier_id is not None:
        return frontier_run_name(job.fund_name, job.frontier_id)
    return session_run_name(job.fund_name, job.session_id)


def _subject(job: ClaimedJob) -> str:
    return f"session {job.session_id}" if job.frontier_id is None else f"frontier {job.frontier_id}"


def _fields(job: ClaimedJob) -> dict[str, object]:
    """Of a line of the log."""
    return {"session_id": str(job.session_id), "epoch": job.epoch, "stage": "enqueue"}
