"""One session, one flow run: matrix, optimize, validate, each stored before the next begins.

The flow reads the session's state and goes on from there, so a stage that is stored is never repeated. Every write is
guarded by the run's fence; a run that lost its session writes nothing more and ends as `Superseded`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import flow
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State, StateType
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from core.errors import Cancelled, CorruptMatrix, MatrixFailed, Superseded, Unavailable, VcfolioError
from core.session_states import SessionStatus
from db.engine import transaction
from db.matrices import MatrixReference, generated_for, invalidate, read_reference
from db.sessions import (
    MAX_UNCLASSIFIED_FAILURES,
    Fence,
    SessionRow,
    complete,
    fail,
    load_session,
    record_flow_run,
    release_lease,
    start_matrix,
    start_optimizing,
    store_allocation,
    take_session,
)
from tasks import runtime
from tasks.heartbeat import Heartbeat
from tasks.matrix import generate_matrix
from tasks.optimize import optimize_portfolio
from tasks.process_owner import lease_owner
from tasks.stored_matrix import load_matrix
from tasks.validate import validate_portfolio

MATRIX_ATTEMPTS = 3
"""How often in a row a matrix may vanish or be corrupt under a session before that is a failure."""


def _run_name() -> str:
    return f"session {prefect_runtime.flow_run.parameters['session_id']}"


@flow(name="optimize-session", flow_run_name=_run_name, persist_result=False)
def optimize_session(session_id: UUID, epoch: int, lease_token: UUID | None = None) -> State[Any]:
    """Carry the session to its end.

    lease_token: of a lease that is granted already (an inline run); without it the session is taken here.
    """
    engine, settings = runtime.engine(), runtime.settings()
    if lease_token is None:
        with transaction(engine) as conn:
            lease_token = take_session(conn, session_id, epoch, settings.lease_s, lease_owner())
    if lease_token is None:
        return _superseded(f"session {session_id} is not to be had for epoch {epoch}")
    fence = Fence(session_id, epoch, lease_token)
    with transaction(engine) as conn:
        record_flow_run(conn, fence, UUID(prefect_runtime.flow_run.id))
    with Heartbeat(engine, fence, settings) as heartbeat:
        return _drive(fence, heartbeat)


def _drive(fence: Fence, heartbeat: Heartbeat) -> State[Any]:
    """Run the stages; decide what each way of failing means for the session and for the flow run."""
    engine = runtime.engine()
    try:
        _run_stages(fence)
    except (Superseded, Cancelled) as error:
        return _superseded(str(error))
    except VcfolioError as error:
        if heartbeat.lost.is_set():
            return _superseded(str(error))
        if error.retryable:
            _let_go(fence)
            raise
        with transaction(engine) as conn:
            fail(conn, fence, error.code, str(error))
        return Failed(message=f"{error.code}: {error}", data=error)
    except Exception as error:
        _record_unclassified(fence, error)
        raise
    except BaseException:
        # Interrupted from outside (Ctrl-C, a terminated worker): whoever resumes may begin at once.
        _let_go(fence)
        raise
    return Completed(message=f"session {fence.session_id} is completed")


def _run_stages(fence: Fence) -> None:
    engine = runtime.engine()
    session = _load(fence)
    if session.status is SessionStatus.REQUESTED:
        with transaction(engine) as conn:
            _must(start_matrix(conn, fence), fence)
        session = _load(fence)
    if session.status is SessionStatus.MATRIX_GENERATING:
        _start_optimizing(fence, session)
        session = _load(fence)
    if session.status is SessionStatus.OPTIMIZING:
        optimized = optimize_portfolio(fence, _ensure_matrix(fence, session))
        with transaction(engine) as conn:
            stored = store_allocation(
                conn,
                fence,
                allocation=optimized.allocation,
                solver_metadata=optimized.solver_metadata,
                pass1_e_star=optimized.pass1_e_star,
                primary_lock_epsilon=optimized.primary_lock_epsilon,
            )
        _must(stored, fence)
        session = _load(fence)
    if session.status is SessionStatus.VALIDATING:
        metrics = validate_portfolio(fence, _ensure_matrix(fence, session))
        with transaction(engine) as conn:
            _must(complete(conn, fence, metrics), fence)


def _start_optimizing(fence: Fence, session: SessionRow) -> None:
    """MATRIX_GENERATING -> OPTIMIZING with the matrix in place; once more when it vanished in between."""
    for _ in range(MATRIX_ATTEMPTS):
        reference = _ensure_matrix(fence, session)
        with transaction(runtime.engine()) as conn:
            made_here = generated_for(conn, reference) == fence.session_id
            if start_optimizing(conn, fence, reference.generation, "generated" if made_here else "hit"):
                return
            if read_reference(conn, reference.key) == reference:
                raise Superseded(f"session {fence.session_id} went on without epoch {fence.epoch}")
    raise MatrixFailed(f"matrix {session.matrix_key} vanished {MATRIX_ATTEMPTS} times before it could be used")


def _ensure_matrix(fence: Fence, session: SessionRow) -> MatrixReference:
    """The session's matrix, whole and verified. Prefect's cache may remember one that was evicted or damaged since."""
    reference = MatrixReference(**generate_matrix(session.matrix_key, fence))
    for _ in range(MATRIX_ATTEMPTS):
        try:
            load_matrix(runtime.engine(), reference)
        except CorruptMatrix as error:
            get_run_logger().warning("%s; it is generated anew", error)
            _drop_if_damaged(reference)
            again = generate_matrix.with_options(refresh_cache=True)
            reference = MatrixReference(**again(session.matrix_key, fence))
        else:
            return reference
    raise MatrixFailed(f"matrix {session.matrix_key} does not stay whole")


def _drop_if_damaged(reference: MatrixReference) -> None:
    """A row that still claims to be this very matrix is the damaged one; any other is somebody's newer generation."""
    with transaction(runtime.engine()) as conn:
        if read_reference(conn, reference.key) == reference:
            invalidate(conn, reference.key)


def _load(fence: Fence) -> SessionRow:
    with transaction(runtime.engine()) as conn:
        return load_session(conn, fence.session_id)


def _must(written: bool, fence: Fence) -> None:
    if not written:
        raise Superseded(f"session {fence.session_id} went on without epoch {fence.epoch}")


def _let_go(fence: Fence) -> None:
    """So that the next run need not wait for the lease to run out. Without a database it will, just the same."""
    with suppress(Unavailable), transaction(runtime.engine()) as conn:
        release_lease(conn, fence, count_failure=False)


def _record_unclassified(fence: Fence, error: Exception) -> None:
    """An exception that nobody foresaw: once it may be bad luck, then the session fails."""
    with suppress(Unavailable), transaction(runtime.engine()) as conn:
        failures = load_session(conn, fence.session_id).unclassified_failures + 1
        if failures >= MAX_UNCLASSIFIED_FAILURES:
            fail(conn, fence, "internal_error", f"{type(error).__name__}: {error}")
        else:
            release_lease(conn, fence, count_failure=True)


def _superseded(reason: str) -> State[Any]:
    return State(type=StateType.CANCELLED, name="Superseded", message=reason)
