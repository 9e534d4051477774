"""Valid examples of what the database stores, and ways to bring a session or a clock to where a test needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from core.session_states import SessionStatus
from db import matrix_generations, sessions
from db.engine import make_engine, transaction
from db.funds import EXAMPLE_FUND_ID, local_user_id
from db.matrices import MatrixPayload
from db.matrix_generations import GenerationLimits, MatrixVersions, Started
from db.session_rows import Fence, NewSession

Result = TypeVar("Result")

VERSIONS = MatrixVersions(sim_model="three_component_v1", calibration="benchmark_1")

UNLIMITED = GenerationLimits(lease_s=45, max_running=1000, per_minute=1000, max_takeovers=3)


def matrix_key(name: object) -> str:
    return f"matrix_v1.2_{hashlib.sha256(str(name).encode()).hexdigest()}"


def payload(content: bytes = b"four bytes") -> MatrixPayload:
    return MatrixPayload(
        moic_matrix=content,
        matrix_layout="row-major",
        compression_codec="zlib",
        bucket_count=1,
        s_opt=2,
        payload_sha256=hashlib.sha256(content).hexdigest(),
        bucket_keys=["Seed_SaaS"],
        scenario_states=[{"macro_regime": "base"}, {"macro_regime": "boom"}],
        bucket_params=[{"key": "Seed_SaaS"}],
        bucket_stats=[{"win_probability": 0.1}],
    )


def begin(
    conn: Connection, key: str, limits: GenerationLimits = UNLIMITED, waited_for: int | None = None
) -> matrix_generations.BeginOutcome:
    return matrix_generations.begin_generation(
        conn, key, {"scenario_count": 2}, VERSIONS, session_id=None, limits=limits, waited_for=waited_for
    )


def started(conn: Connection, key: str, limits: GenerationLimits = UNLIMITED) -> Started:
    outcome = begin(conn, key, limits)
    assert isinstance(outcome, Started), outcome
    return outcome


def store_matrix(conn: Connection, key: str, content: bytes = b"four bytes") -> Started:
    generation = started(conn, key)
    assert matrix_generations.complete_generation(conn, generation, payload(content))
    return generation


def new_session(conn: Connection, **changes: Any) -> NewSession:
    example = NewSession(
        fund_id=EXAMPLE_FUND_ID,
        created_by=local_user_id(conn),
        request={"totalFundSize": 1e8},
        request_hash="a" * 64,
        normalized_config={"total_fund_size_usd": 1e8},
        matrix_key=matrix_key("example"),
        matrix_key_json={"scenario_count": 2},
    )
    return replace(example, **changes)


def inline_session(conn: Connection, lease_s: float = 45, **changes: Any) -> Fence:
    """A session whose lease the caller holds."""
    created = sessions.create_session(conn, new_session(conn, **changes), "inline", lease_s, "host:1")
    assert created.lease_token is not None
    return Fence(created.session.session_id, created.session.epoch, created.lease_token)


def bridge_session(conn: Connection, **changes: Any) -> UUID:
    return sessions.create_session(conn, new_session(conn, **changes), "bridge", None, None).session.session_id


def store_allocation(conn: Connection, fence: Fence) -> bool:
    return sessions.store_allocation(
        conn,
        fence,
        allocation=[{"bucketId": "Seed_SaaS", "weight": 1.0}],
        solver_metadata={"status": "optimal"},
        pass1_e_star=2.5,
        primary_lock_epsilon=0.001,
    )


def session_at(conn: Connection, status: SessionStatus) -> Fence:
    """A session in that status. The lease is the caller's, where the status has one."""
    fence = inline_session(conn)
    key = sessions.load_session(conn, fence.session_id).matrix_key
    if status is SessionStatus.FAILED:
        assert sessions.fail(conn, fence, "infeasible", "because")
        return fence
    steps: list[tuple[SessionStatus, Callable[[], bool]]] = [
        (SessionStatus.MATRIX_GENERATING, lambda: sessions.start_matrix(conn, fence)),
        (
            SessionStatus.OPTIMIZING,
            lambda: sessions.start_optimizing(conn, fence, store_matrix(conn, key).generation, "generated"),
        ),
        (SessionStatus.VALIDATING, lambda: store_allocation(conn, fence)),
        (SessionStatus.COMPLETED, lambda: sessions.complete(conn, fence, {"feasible": True})),
    ]
    if status is not SessionStatus.REQUESTED:
        for reached, step in steps:
            assert step()
            if reached is status:
                break
    return fence


def expire_session_lease(conn: Connection, session_id: UUID) -> None:
    conn.execute(
        text("UPDATE optimization_sessions SET lease_expires_at = now() - interval '1 s' WHERE session_id = :id"),
        {"id": session_id},
    )


def expire_generation_lease(conn: Connection, generation: Started) -> None:
    conn.execute(
        text("""
            UPDATE matrix_generations SET lease_expires_at = now() - interval '1 s'
            WHERE matrix_key = :key AND generation = :generation
        """),
        {"key": generation.key, "generation": generation.generation},
    )


def race(engine: Engine, racers: int, work: Callable[[Connection, int], Result]) -> list[Result]:
    """What each of so many transactions, all open before the first one begins to work, brought home."""
    barrier = Barrier(racers)
    track = make_engine(engine.url.render_as_string(hide_password=False), max_connections=racers)

    def run(number: int) -> Result:
        with transaction(track) as conn:
            conn.execute(text("SELECT 1"))
            barrier.wait(timeout=60)
            return work(conn, number)

    try:
        with ThreadPoolExecutor(racers) as pool:
            return list(pool.map(run, range(racers)))
    finally:
        track.dispose()
