"""Sessions in any state, carried there by the product's own simulation and solver, without a flow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from core import pipeline
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.request import parse_request
from core.request.normalized_config import NormalizedConfig
from core.session_states import SessionStatus
from core.solver.program import SolveControl
from db import sessions
from db.engine import transaction
from db.funds import local_user_id
from db.matrix_generations import AlreadyComplete, MatrixVersions, Started, begin_generation, complete_generation
from db.matrix_values import payload_of
from db.requests import submit_request
from db.session_rows import Fence, SessionRow
from db.sessions import load_session
from tests.db.store.examples import UNLIMITED
from tests.small_request import SMALL

RELAXED: dict[str, Any] = {"minExpectedWinners": 40}
"""More winners than there can be: this limit is relaxed."""


def asked(engine: Engine, **changes: Any) -> Fence:
    """A session whose lease the caller holds."""
    with transaction(engine) as conn:
        created = submit_request(
            conn,
            parse_request({**SMALL, **changes}),
            created_by=local_user_id(conn),
            credential="test",
            driver="inline",
            lease_s=600.0,
            lease_owner="test",
        )
    assert created.lease_token is not None
    return Fence(created.session.session_id, 0, created.lease_token)


def carried_out(engine: Engine, until: SessionStatus = SessionStatus.COMPLETED, **changes: Any) -> UUID:
    """A session in that status, with what it has stored by then. FAILED: by the solver's own error."""
    fence = asked(engine, **changes)
    if until is SessionStatus.REQUESTED:
        return fence.session_id
    with transaction(engine) as conn:
        assert sessions.start_matrix(conn, fence)
        if until is SessionStatus.FAILED:
            assert sessions.fail(
                conn,
                fence,
                "infeasible",
                "no portfolio has a CVaR of at most 5% and losses in at most 10% of scenarios together",
            )
    if until in (SessionStatus.MATRIX_GENERATING, SessionStatus.FAILED):
        return fence.session_id
    session = _with_matrix(engine, fence)
    if until is SessionStatus.OPTIMIZING:
        with transaction(engine) as conn:
            progress = {"stage": "optimize", "step": "primary solve", "objective": 2.0, "bound": 2.1}
            assert sessions.extend_lease(conn, fence, 600.0, progress)
        return fence.session_id
    _solved(engine, fence, session, until)
    return fence.session_id


def start(engine: Engine, session_id: UUID) -> Fence:
    """A session that was asked for on the page, taken and begun as a worker does."""
    with transaction(engine) as conn:
        token = sessions.take_session(conn, session_id, 0, 600.0, "test")
        assert token is not None
        fence = Fence(session_id, 0, token)
        assert sessions.start_matrix(conn, fence)
    return fence


def finish(engine: Engine, fence: Fence) -> None:
    """What `start` began, to its end."""
    _solved(engine, fence, _with_matrix(engine, fence), SessionStatus.COMPLETED)


def _with_matrix(engine: Engine, fence: Fence) -> SessionRow:
    with transaction(engine) as conn:
        session = load_session(conn, fence.session_id)
        versions = MatrixVersions(
            sim_model=session.normalized_config["sim_model_version"],
            calibration=session.normalized_config["calibration_version"],
        )
        begun = begin_generation(
            conn,
            session.matrix_key,
            session.matrix_key_json,
            versions,
            session_id=fence.session_id,
            limits=UNLIMITED,
            waited_for=None,
        )
    if isinstance(begun, Started):
        matrix = _simulated(session)
        with transaction(engine) as conn:
            assert complete_generation(conn, begun, payload_of(matrix, session.matrix_key_json))
            assert sessions.start_optimizing(conn, fence, begun.generation, "generated")
    else:
        assert isinstance(begun, AlreadyComplete)
        with transaction(engine) as conn:
            assert sessions.start_optimizing(conn, fence, begun.reference.generation, "hit")
    return session


def _simulated(session: SessionRow) -> ScenarioMatrix:
    return pipeline.simulate(session.matrix_key_json)


def _solved(engine: Engine, fence: Fence, session: SessionRow, until: SessionStatus) -> None:
    config = NormalizedConfig.model_validate(session.normalized_config)
    matrix = _simulated(session)
    inputs = simulation_inputs(session.matrix_key_json)
    optimized = pipeline.optimize(config, matrix, SolveControl(work_limit=10_000), inputs=inputs)
    with transaction(engine) as conn:
        assert sessions.store_allocation(
            conn,
            fence,
            allocation=[holding.as_json() for holding in optimized.allocation],
            solver_metadata=optimized.optimization.as_json(),
            pass1_e_star=optimized.pass1_e_star,
            primary_lock_epsilon=optimized.primary_lock_epsilon,
        )
    if until is SessionStatus.VALIDATING:
        return
    validation = pipeline.validate(
        config,
        matrix,
        inputs,
        allocation=optimized.allocation,
        optimization=optimized.optimization,
    )
    with transaction(engine) as conn:
        assert sessions.complete(conn, fence, validation.as_json())
