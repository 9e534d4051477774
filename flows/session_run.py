"""A run of one session: matrix, optimize, validate, each stored before the next begins.

It reads the session's state and goes on from there, so a stage that is stored is never repeated. Every write is guarded
by the run's fence; a run that lost its session writes nothing more and ends as `Superseded`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed
from sqlalchemy import Connection

from core.errors import Cancelled, InvalidAllocation, MatrixFailed, Superseded, Unavailable, VcfolioError
from core.matrix.scenario_matrix import ScenarioMatrix
from core.session_states import SessionStatus
from db.engine import transaction
from db.events import record_event
from db.fault_points import fault_point
from db.matrices import MatrixReference, read_reference
from db.matrix_generations import generated_for
from db.session_rows import Fence, SessionRow
from db.sessions import (
    CANCELLED,
    MAX_UNCLASSIFIED_FAILURES,
    complete,
    fail,
    load_session,
    owns,
    record_flow_run,
    release_lease,
    start_matrix,
    start_optimizing,
    store_allocation,
)
from db.tables.events import EventKind
from flows.session_artifacts import Publisher
from tasks import runtime
from tasks.heartbeat import Heartbeat, heartbeat_of
from tasks.matrix import generate_matrix
from tasks.optimize import optimize_portfolio
from tasks.retries import retry_transient
from tasks.stored_matrix import MATRIX_ATTEMPTS, ensure_valid_matrix
from tasks.validate import validate_portfolio

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def run_session(fence: Fence) -> State[Any]:
    """Run the session to its end, under the lease that the fence stands for. Called within a flow run."""
    with Heartbeat(runtime.engine(), fence, runtime.settings()) as heartbeat:
        return _drive(fence, heartbeat)


def _drive(fence: Fence, heartbeat: Heartbeat) -> State[Any]:
    """Run the stages; decide what each way of failing means for the session and for the flow run."""
    publisher = Publisher(fence.session_id, runtime.settings().page_url)
    try:
        _run_stages(fence, publisher)
    except (Superseded, Cancelled) as error:
        return _lost(fence, str(error))
    except VcfolioError as error:
        if heartbeat.lost.is_set():
            return _lost(fence, str(error))
        if error.retryable:
            _release_lease(fence)
            raise
        _in_database(partial(fail, fence=fence, error_code=error.code, error_reason=str(error)))
        failed = SessionStatus.FAILED
        logger.warning(
            "session %s: %s: %s: %s", fence.session_id, failed, error.code, error, extra=_fields(fence, failed)
        )
        publisher.reached(failed)
        return Failed(message=f"{error.code}: {error}", data=error)
    except Exception as error:
        _record_unclassified(fence, error)
        raise
    except BaseException:
        # Interrupted from outside (Ctrl-C, a terminated worker): it can be resumed immediately.
        _release_lease(fence)
        raise
    return Completed(message=f"session {fence.session_id} is completed")


def _run_stages(fence: Fence, publisher: Publisher) -> None:
    flow_run_id = UUID(prefect_runtime.flow_run.id)
    _must(_in_database(partial(record_flow_run, fence=fence, flow_run_id=flow_run_id)), fence)

    def reached() -> SessionRow:
        session = _in_database(partial(load_session, session_id=fence.session_id))
        logger.info("session %s: %s", fence.session_id, session.status, extra=_fields(fence, session.status))
        publisher.reached(session.status)
        return session

    reference: MatrixReference | None = None
    session = reached()
    if session.status is SessionStatus.REQUESTED:
        _must(_advance(fence, SessionStatus.MATRIX_GENERATING, partial(start_matrix, fence=fence)), fence)
        session = reached()
    if session.status is SessionStatus.MATRIX_GENERATING:
        reference = _start_optimizing(fence, session)
        session = reached()
    if session.status is SessionStatus.OPTIMIZING:
        reference = _ensure_matrix(fence, session, reference)
        _optimize(fence, reference)
        session = reached()
    if session.status is SessionStatus.VALIDATING:
        reference = _ensure_matrix(fence, session, reference)
        _validate(fence, session, reference)
        publisher.completed(reached(), partial(heartbeat_of(fence).matrix.load, reference))


def _optimize(fence: Fence, reference: MatrixReference) -> None:
    optimized = optimize_portfolio(fence, reference)
    store = partial(
        store_allocation,
        fence=fence,
        allocation=[holding.as_json() for holding in optimized.allocation],
        solver_metadata=optimized.optimization.as_json(),
        pass1_e_star=optimized.pass1_e_star,
        primary_lock_epsilon=optimized.primary_lock_epsilon,
    )
    _must(_advance(fence, SessionStatus.VALIDATING, store), fence)


def _validate(fence: Fence, session: SessionRow, reference: MatrixReference) -> None:
    validation = validate_portfolio(fence, reference)
    fault_point("validate.before_transition")
    store = partial(complete, fence=fence, validation_metrics=validation.as_json(), validated=session.allocation)
    if not _advance(fence, SessionStatus.COMPLETED, store):
        _must(_in_database(partial(owns, fence=fence)), fence)
        raise InvalidAllocation("the stored allocation is not the one that was validated: it was changed meanwhile")


def _start_optimizing(fence: Fence, session: SessionRow) -> MatrixReference:
    """MATRIX_GENERATING -> OPTIMIZING with the matrix in place; once more when it vanished in between."""
    for _ in range(MATRIX_ATTEMPTS):
        reference = _ensure_matrix(fence, session)
        if _advance(fence, SessionStatus.OPTIMIZING, partial(_start_with, fence=fence, reference=reference)):
            return reference
        _must(_in_database(partial(read_reference, key=reference.key)) != reference, fence)
    raise MatrixFailed(f"matrix {session.matrix_key} vanished {MATRIX_ATTEMPTS} times before it could be used")


def _start_with(conn: Connection, fence: Fence, reference: MatrixReference) -> bool:
    made_here = generated_for(conn, reference) == fence.session_id
    return start_optimizing(conn, fence, reference.generation, "generated" if made_here else "hit")


def _ensure_matrix(fence: Fence, session: SessionRow, known: MatrixReference | None = None) -> MatrixReference:
    """The session's matrix, whole and verified. Prefect's cache may remember one that was evicted or damaged since.

    The run loads and verifies it once; later stages use what it holds for as long as the row still says the same.

    known: what the run's matrix task said before, so that the task is shown once; run again if that is gone.
    """

    def make(anew: bool) -> MatrixReference:
        if known is not None and not anew:
            return known
        task = generate_matrix.with_options(refresh_cache=True) if anew else generate_matrix
        return MatrixReference(**task(session.matrix_key, fence))

    def load(reference: MatrixReference) -> ScenarioMatrix:
        held = heartbeat_of(fence).matrix
        if _in_database(partial(read_reference, key=reference.key)) != reference:
            held.drop()
        return held.load(reference)

    return ensure_valid_matrix(runtime.engine(), session.matrix_key, make, load)


def _in_database(work: Callable[[Connection], Result]) -> Result:
    """`work` in a transaction of its own; again where the database was away for a moment."""

    def attempt() -> Result:
        with transaction(runtime.engine()) as conn:
            return work(conn)

    return retry_transient(attempt)


def _advance(fence: Fence, to: SessionStatus, write: Callable[[Connection], bool]) -> bool:
    """One transition, stored for certain; False when it was refused.

    After a lost answer to a commit its outcome is unknown: if it succeeded, the session has the new status.
    """
    return _in_database(lambda conn: write(conn) or _reached(conn, fence, to))


def _reached(conn: Connection, fence: Fence, status: SessionStatus) -> bool:
    session = load_session(conn, fence.session_id)
    ours = session.epoch == fence.epoch and session.lease_token in (fence.lease_token, None)
    return ours and session.status is status


def _must(written: bool, fence: Fence) -> None:
    if not written:
        raise Superseded(f"session {fence.session_id} is owned by another run than epoch {fence.epoch}")


def _release_lease(fence: Fence) -> None:
    """So that the next run need not wait for the lease to run out. Without a database it will, just the same."""
    with suppress(Unavailable), transaction(runtime.engine()) as conn:
        release_lease(conn, fence, count_failure=False)


def _record_unclassified(fence: Fence, error: Exception) -> None:
    """An unexpected exception: tolerated once, then the session fails."""
    with suppress(Unavailable), transaction(runtime.engine()) as conn:
        failures = load_session(conn, fence.session_id).unclassified_failures + 1
        if failures >= MAX_UNCLASSIFIED_FAILURES:
            fail(conn, fence, "internal_error", f"{type(error).__name__}: {error}")
        else:
            release_lease(conn, fence, count_failure=True)


def _lost(fence: Fence, reason: str) -> State[Any]:
    """Of a run that does not own its session any more: cancelled with it, or superseded by another."""
    logger.warning("session %s: %s", fence.session_id, reason, extra=_fields(fence, "lost"))
    with suppress(VcfolioError), transaction(runtime.engine()) as conn:
        session = load_session(conn, fence.session_id)
        if session.error_code == CANCELLED:
            return State(type=StateType.CANCELLED, name="Cancelled", message=session.error_reason)
        record_event(conn, fence.session_id, fence.epoch, EventKind.STALE_WRITE_REFUSED, reason)
    return superseded(reason)


def superseded(reason: str) -> State[Any]:
    """Of a run that has nothing to do: the session is another's, or has ended."""
    return State(type=StateType.CANCELLED, name="Superseded", message=reason)


def _fields(fence: Fence, stage: str) -> dict[str, Any]:
    """Of a line of the log."""
    return {"session_id": str(fence.session_id), "epoch": fence.epoch, "stage": stage}
