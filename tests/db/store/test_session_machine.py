"""Whatever happens in whatever order, no session is lost, none is finished twice, and zombies write nothing.

A Hypothesis state machine over requests, bridges, runs, leases, reapers, cancels and evictions, against PostgreSQL,
with Prefect's side in memory. `--machine-examples 2000` looks for longer, and at other examples each time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Engine, text

from core.errors import Conflict
from core.session_states import SessionStatus, may_move
from db import matrices, outbox, sessions
from db.engine import transaction
from db.fault_points import armed
from db.outbox import ClaimedJob
from db.retention import evict_matrices
from db.session_rows import Fence
from db.settings import Settings
from deployments.bridge.bridge import Enqueuer
from deployments.bridge.metrics import BridgeCounters
from tasks.flow_runs import RunState
from tasks.reaping import reap
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import inline_session, matrix_key, new_session, store_allocation, store_matrix
from tests.flow_runs import FlowRunsInMemory

SETTINGS = Settings(home="/nowhere", max_epochs=3)
LEASE_S = SETTINGS.lease_s
ROUNDS = 40
"""More than any session needs from any state to its end when all goes well: max_epochs rescues and a few restarts."""

SELDOM = st.sampled_from([False, False, False, True])

Rows = dict[UUID, dict[str, Any]]


def _start_optimizing(conn: Connection, fence: Fence) -> bool:
    key = sessions.load_session(conn, fence.session_id).matrix_key
    reference = matrices.read_reference(conn, key)
    generation = reference.generation if reference else store_matrix(conn, key).generation
    return sessions.start_optimizing(conn, fence, generation, "hit")


STEPS: dict[str, Callable[[Connection, Fence], bool]] = {
    "REQUESTED": sessions.start_matrix,
    "MATRIX_GENERATING": _start_optimizing,
    "OPTIMIZING": store_allocation,
    "VALIDATING": lambda conn, fence: sessions.complete(conn, fence, {"feasible": True}),
}
WRITES: dict[str, Callable[[Connection, Fence], bool]] = {
    **STEPS,
    "heartbeat": lambda conn, fence: sessions.extend_lease(conn, fence, LEASE_S, {"nodes": 1}),
    "let go": lambda conn, fence: sessions.release_lease(conn, fence, count_failure=False),
    "fail": lambda conn, fence: sessions.fail(conn, fence, "infeasible", "because"),
}


class SessionMachine(RuleBasedStateMachine):
    requested = Bundle("requested")
    claimed = Bundle("claimed")
    made = Bundle("made")
    held = Bundle("held")
    any_session = requested | held.map(lambda fence: fence.session_id)

    engine: Engine
    pool: ThreadPoolExecutor

    def __init__(self) -> None:
        super().__init__()
        self.prefect = FlowRunsInMemory()
        self.before: Rows = {}
        self.written = False
        self.completions: dict[UUID, int] = {}
        self.keys: dict[str, tuple[UUID, str]] = {}
        counters = BridgeCounters(CollectorRegistry())
        self.bridge = Enqueuer(self.engine, self.prefect, counters, Event(), self.pool)
        with transaction(self.engine) as conn:
            for table in ("optimization_sessions", "scenario_matrices", "matrix_generations"):
                conn.execute(text(f"DELETE FROM {table}"))

    # What clients do.

    @rule(target=requested, client_key=st.sampled_from([None, None, "a", "b"]), asked=st.sampled_from(["x", "y"]))
    def request(self, client_key: str | None, asked: str) -> Any:
        with transaction(self.engine) as conn:
            new = new_session(conn, client_key=client_key, request_hash=asked, matrix_key=matrix_key(asked))
            try:
                session_id = sessions.create_session(conn, new, "bridge", None, None).session.session_id
            except Conflict:
                assert client_key is not None
                assert self.keys[client_key][1] != asked
                return multiple()
        if client_key is not None:
            assert self.keys.setdefault(client_key, (session_id, asked)) == (session_id, asked)
        return session_id

    @rule(target=held)
    def run_inline(self) -> Fence:
        with transaction(self.engine) as conn:
            return inline_session(conn, LEASE_S, matrix_key=matrix_key("x"))

    @rule(session_id=any_session, chance=SELDOM)
    def cancel(self, session_id: UUID, chance: bool) -> None:
        if chance:
            with transaction(self.engine) as conn:
                active = not sessions.load_session(conn, session_id).status.terminal
                assert sessions.cancel(conn, session_id, "by the user") == active

    @rule(target=held, session_id=any_session, force=SELDOM)
    def resume(self, session_id: UUID, force: bool) -> Any:
        with transaction(self.engine) as conn:
            session = sessions.load_session(conn, session_id)
            epoch = sessions.reopen(conn, session_id, session.epoch, force=force)
            if epoch is None:
                return multiple()
            token = sessions.take_session(conn, session_id, epoch, LEASE_S, "host:by hand")
        assert token is not None
        return Fence(session_id, epoch, token)

    # What a bridge does, step by step, so that anything may come between.

    @rule(target=claimed, limit=st.integers(1, 3))
    def claim(self, limit: int) -> Any:
        with transaction(self.engine) as conn:
            return multiple(*outbox.claim_jobs(conn, limit))

    @rule(target=made, job=claimed)
    def make_run(self, job: ClaimedJob) -> UUID:
        return self.prefect.create(job, "a run")

    @rule(job=claimed, what=st.sampled_from(["mark", "mark", "mark", "release", "fail"]))
    def end_claim(self, job: ClaimedJob, what: str) -> None:
        with transaction(self.engine) as conn:
            before = _rows(conn)
            row = before[job.session_id]
            stands = row["job_status"] == "processing" and row["claim_id"] == job.claim_id
            if what == "mark":
                done = bool(outbox.mark_enqueued(conn, {job: self.prefect.create(job, "a run")}))
            elif what == "release":
                done = bool(outbox.release_claims(conn, [job]))
            else:
                done = outbox.fail_claim(conn, job, "refused") is not None
            after = _rows(conn)
            assert done == stands
            assert stands or after == before
            if done and what == "release":
                assert after[job.session_id]["attempts"] == job.attempts - 1

    @rule(target=made)
    def whole_turn_of_a_bridge(self) -> Any:
        self.bridge.turn()
        return multiple(*self.prefect.parameters)

    # What runs do. A run may begin late, twice, or after its session has long gone on.

    @rule(target=held, run=made)
    def begin(self, run: UUID) -> Any:
        return self._begin(run) or multiple()

    @rule(fence=held, write=st.sampled_from([*WRITES]))
    def write(self, fence: Fence, write: str) -> None:
        with transaction(self.engine) as conn:
            before = _rows(conn)
            owned = sessions.owns(conn, fence)
            fits = write not in STEPS or before[fence.session_id]["status"] == write
            written = WRITES[write](conn, fence)
            assert written == (owned and fits)
            self.written = written
            assert written or _rows(conn) == before
            if written and write == "VALIDATING":
                self.completions[fence.session_id] = self.completions.get(fence.session_id, 0) + 1

    @rule(target=held)
    def a_worker_begins_all_that_is_scheduled(self) -> Any:
        return multiple(*filter(None, [self._begin(run) for run in self._scheduled()]))

    @rule(fence=held, stages=st.integers(1, 4))
    def go_on(self, fence: Fence, stages: int) -> None:
        for _ in range(stages):
            with transaction(self.engine) as conn:
                status = sessions.load_session(conn, fence.session_id).status
            if not status.terminal:
                self.write(fence, status.value)

    @rule(run=made, state=st.sampled_from([*RunState, None]), chance=SELDOM)
    def prefect_says_otherwise(self, run: UUID, state: RunState | None, chance: bool) -> None:
        """The worker is killed, a person cancels, Prefect loses its database."""
        if not chance:
            return
        if state is None:
            self.prefect.states_by_id.pop(run, None)
        else:
            self.prefect.states_by_id[run] = state

    # What time and the looking after do.

    @rule(seconds=st.sampled_from([3, SETTINGS.lease_s + 1, SETTINGS.begun_patience_s, SETTINGS.stuck_after_s + 1]))
    def time_passes(self, seconds: float) -> None:
        with transaction(self.engine) as conn:
            advance_clock(conn, seconds)

    @rule(away=SELDOM)
    def reap(self, away: bool) -> None:
        with self._prefect(away):
            reap(self.engine, SETTINGS, self.prefect)

    @rule(fence=held, write=st.sampled_from([*WRITES]))
    def reap_while_a_run_writes(self, fence: Fence, write: str) -> None:
        """Between what the reaper reads and what it writes."""
        with armed("reaper.read", lambda: self.write(fence, write)):
            reap(self.engine, SETTINGS, self.prefect)
        if write == "heartbeat" and self.written:
            with transaction(self.engine) as conn:
                assert sessions.owns(conn, fence)

    @rule(run=made)
    def reap_while_a_run_begins(self, run: UUID) -> None:
        begun = []
        with armed("reaper.read", lambda: begun.append(self._begin(run))):
            reap(self.engine, SETTINGS, self.prefect)
        with transaction(self.engine) as conn:
            assert begun == [None] or sessions.owns(conn, begun[0])

    @rule(session_id=any_session, chance=SELDOM)
    def lose_outbox_row(self, session_id: UUID, chance: bool) -> None:
        """No way of the product leads there; a hand in the database does, and is made good."""
        if chance:
            with transaction(self.engine) as conn:
                conn.execute(text("DELETE FROM job_outbox WHERE session_id = :id"), {"id": session_id})

    @rule()
    def evict(self) -> None:
        with transaction(self.engine) as conn:
            advance_clock(conn, 1)
            needed = set(conn.scalars(_NEEDED_MATRICES))
            evict_matrices(conn, complete_s=0, failed_s=0, limit=10)
            assert needed == set(conn.scalars(_NEEDED_MATRICES))

    # What must hold after each of these.

    @invariant()
    def every_session_keeps_what_it_is_promised(self) -> None:
        with transaction(self.engine) as conn:
            now = _rows(conn)
        assert now.keys() >= self.before.keys()
        for session_id, row in now.items():
            was = self.before.get(session_id)
            if was is not None:
                _moved_lawfully(was, row)
            assert row["jobs"] <= 1
            assert self.completions.get(session_id, 0) == (row["status"] == "COMPLETED")
            if row["job_epoch"] is not None:
                assert row["job_epoch"] <= row["epoch"]
        self.before = now

    def teardown(self) -> None:
        """Every session can still come to its end, with nobody's help but the bridge's, the reaper's and a worker's."""
        for _ in range(ROUNDS):
            with transaction(self.engine) as conn:
                if all(SessionStatus(row["status"]).terminal for row in _rows(conn).values()):
                    break
                advance_clock(conn, 400)
            reap(self.engine, SETTINGS, self.prefect)
            self.bridge.turn()
            for run in self._scheduled():
                self._work(run)
            self.every_session_keeps_what_it_is_promised()
        with transaction(self.engine) as conn:
            left = {key: row for key, row in _rows(conn).items() if not SessionStatus(row["status"]).terminal}
        assert left == {}

    def _scheduled(self) -> list[UUID]:
        return [run for run, state in self.prefect.states_by_id.items() if state is RunState.SCHEDULED]

    def _begin(self, run: UUID) -> Fence | None:
        session_id, epoch = self.prefect.parameters[run]
        if run in self.prefect.states_by_id:
            self.prefect.states_by_id[run] = RunState.BEGUN
        with transaction(self.engine) as conn:
            before = _rows(conn)
            row = before[session_id]
            free = row["status"] not in ("COMPLETED", "FAILED") and row["epoch"] == epoch and not row["leased"]
            token = sessions.take_session(conn, session_id, epoch, LEASE_S, "host:worker")
            assert (token is not None) == free
            if token is None:
                assert _rows(conn) == before
                return None
            fence = Fence(session_id, epoch, token)
            assert sessions.record_flow_run(conn, fence, run)
        return fence

    def _work(self, run: UUID) -> None:
        """As a worker does where nothing goes wrong: begin, and carry the session from stage to stage to its end."""
        fence = self._begin(run)
        while fence is not None:
            with transaction(self.engine) as conn:
                status = sessions.load_session(conn, fence.session_id).status
            if status.terminal:
                break
            self.write(fence, status.value)
        self.prefect.states_by_id[run] = RunState.ENDED

    @contextmanager
    def _prefect(self, away: bool) -> Iterator[None]:
        self.prefect.away = "connection refused" if away else None
        yield
        self.prefect.away = None


_NEEDED_MATRICES = text("""
SELECT matrix_key FROM scenario_matrices m WHERE EXISTS (
  SELECT FROM optimization_sessions s WHERE s.matrix_key = m.matrix_key AND s.status NOT IN ('COMPLETED', 'FAILED')
)
""")

_ROWS = text("""
SELECT s.session_id, s.status, s.epoch, s.lease_token, s.rescues, s.progress, s.allocation, s.validation_metrics,
  s.error_code, s.error_reason, s.flow_run_id, s.unclassified_failures,
  coalesce(s.lease_expires_at > now(), false) AS leased,
  (SELECT count(*) FROM job_outbox o WHERE o.session_id = s.session_id) AS jobs,
  o.status AS job_status, o.epoch AS job_epoch, o.claim_id, o.attempts, o.flow_run_id AS job_flow_run_id
FROM optimization_sessions s LEFT JOIN job_outbox o USING (session_id)
""")


def _rows(conn: Connection) -> Rows:
    return {row["session_id"]: dict(row) for row in conn.execute(_ROWS).mappings()}


def _moved_lawfully(was: dict[str, Any], row: dict[str, Any]) -> None:
    frm, to = SessionStatus(was["status"]), SessionStatus(row["status"])
    if frm.terminal:
        of_the_session = [name for name in row if not name.startswith(("job", "claim", "attempts"))]
        assert [row[name] for name in of_the_session] == [was[name] for name in of_the_session]
        return
    # Between two looks a session may have gone along several edges.
    assert to is frm or may_move(frm, to) or list(SessionStatus).index(to) > list(SessionStatus).index(frm)
    assert row["epoch"] >= was["epoch"]
    assert row["rescues"] >= was["rescues"]
    if to is SessionStatus.FAILED:
        lost_its_end = row["error_code"] in ("cancelled", "infeasible")
        assert lost_its_end or not was["leased"] or row["error_code"] == "lost_too_often"


def test_no_order_of_events_loses_a_session(engine: Engine, request: pytest.FixtureRequest) -> None:
    examples = request.config.getoption("--machine-examples")
    with transaction(engine) as conn:
        # So that claims which fail or are lost twice come up often enough.
        conn.execute(text("ALTER TABLE job_outbox ALTER COLUMN max_attempts SET DEFAULT 2"))
    logging.getLogger("tasks.reaping").setLevel(logging.CRITICAL)
    # One thread, so that an example runs the same way each time.
    with ThreadPoolExecutor(1) as pool:
        machine = type("SessionMachine", (SessionMachine,), {"engine": engine, "pool": pool})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples or 150,
                derandomize=examples is None,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
