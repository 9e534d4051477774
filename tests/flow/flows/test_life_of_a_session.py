"""A request becomes a validated allocation, stage by stage, and no stored stage is repeated."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from core.canonical import canonical_json
from core.session_states import SessionStatus
from db.session_rows import Fence, SessionRow
from tests.flow.flows.product import Product, in_background, task_states

pytestmark = pytest.mark.xdist_group("flows")


def test_a_session_runs_to_its_end_with_every_stage_stored(product: Product) -> None:
    session = product.completed()
    assert session.status is SessionStatus.COMPLETED
    assert (session.epoch, session.lease_token, session.unclassified_failures) == (0, None, 0)
    assert (session.matrix_generation, session.matrix_origin) == (1, "generated")
    assert sum(entry["weight"] for entry in session.allocation) == pytest.approx(1, abs=1e-12)
    assert session.solver_metadata["solver"]["status"] == "optimal"
    assert session.validation_metrics["feasible"] is True
    moments = [
        session.created_at,
        session.matrix_started_at,
        session.matrix_completed_at,
        session.optimization_started_at,
        session.optimization_completed_at,
        session.validation_started_at,
        session.completed_at,
    ]
    assert moments == sorted(moments)
    assert task_states(session.flow_run_id, "matrix", "optimize", "validate") == {
        "matrix": ["Completed"],
        "optimize": ["Completed"],
        "validate": ["Completed"],
    }
    assert product.sql("SELECT status, epoch FROM job_outbox") == [("enqueued", 0)]


def test_a_second_session_of_the_same_key_is_a_hit_and_gets_the_same_allocation_to_the_bit(product: Product) -> None:
    first, second = product.completed(), product.completed()
    assert (first.matrix_key, "generated", "hit") == (second.matrix_key, first.matrix_origin, second.matrix_origin)
    assert task_states(second.flow_run_id, "matrix")["matrix"] == ["Cached"]
    assert canonical_json(first.allocation) == canonical_json(second.allocation)
    assert canonical_json(first.validation_metrics) == canonical_json(second.validation_metrics)


DAMAGE = {
    "evicted": "DELETE FROM scenario_matrices",
    "a byte flipped": """
        UPDATE scenario_matrices SET moic_matrix = set_byte(moic_matrix, 40, 255 - get_byte(moic_matrix, 40))
    """,
    "cut short": "UPDATE scenario_matrices SET moic_matrix = substr(moic_matrix, 1, 20)",
    "another checksum": "UPDATE scenario_matrices SET payload_sha256 = repeat('0', 64)",
    "other buckets": "UPDATE scenario_matrices SET bucket_keys = bucket_keys - 0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_cached_matrix_that_does_not_stand_as_recorded_is_made_anew(product: Product, damage: str) -> None:
    first = product.completed()
    product.sql(DAMAGE[damage])
    second = product.completed()
    assert (second.matrix_generation, second.matrix_origin) == (2, "generated")
    assert canonical_json(first.allocation) == canonical_json(second.allocation)
    (checksums,) = zip(*product.sql("SELECT payload_sha256 FROM matrix_generations"), strict=True)
    assert len(set(checksums)) == 1


EVICT_ONCE_SOLVED = (
    """
    CREATE FUNCTION evict() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM scenario_matrices;
      RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER evict AFTER UPDATE ON optimization_sessions FOR EACH ROW
    WHEN (OLD.status = 'OPTIMIZING' AND NEW.status = 'VALIDATING') EXECUTE FUNCTION evict()
    """,
)


def test_a_matrix_evicted_once_its_session_has_solved_is_made_anew_for_the_validation(product: Product) -> None:
    for statement in EVICT_ONCE_SOLVED:
        product.sql(statement)
    session = product.completed()
    assert session.matrix_generation == 1
    assert task_states(session.flow_run_id, "matrix")["matrix"] == ["Completed", "Completed"]
    assert product.sql("SELECT generation FROM scenario_matrices") == [(2,)]


@pytest.mark.parametrize(
    "reached", [SessionStatus.MATRIX_GENERATING, SessionStatus.OPTIMIZING, SessionStatus.VALIDATING]
)
def test_a_session_goes_on_from_the_stage_that_is_stored(product: Product, reached: SessionStatus) -> None:
    example = product.completed()
    fence = product.ask()
    allocation = product.bring_to(fence, reached, example)
    before = product.session(fence)
    assert before.status is reached
    resumed = product.again(fence)
    assert product.run(resumed).name == "Completed"
    after = product.session(fence)
    assert after.status is SessionStatus.COMPLETED
    assert after.epoch == 1
    kept = {name: value for name, value in _stages(before).items() if value is not None}
    assert kept == {name: _stages(after)[name] for name in kept}
    if allocation is not None:
        assert after.allocation == allocation != example.allocation
        assert "optimize" not in task_states(after.flow_run_id, "validate")


def _stages(session: SessionRow) -> dict[str, Any]:
    names = (
        "matrix_started_at",
        "matrix_completed_at",
        "matrix_generation",
        "matrix_origin",
        "optimization_started_at",
        "optimization_completed_at",
        "allocation",
        "solver_metadata",
        "pass1_e_star",
        "validation_started_at",
    )
    return {name: getattr(session, name) for name in names}


def test_a_run_that_does_not_own_the_session_writes_nothing(product: Product) -> None:
    fence = product.ask()
    before = product.session(fence)
    strangers = [replace(fence, epoch=1), replace(fence, lease_token=product.ask().lease_token)]
    for stranger in strangers:
        assert product.run(stranger).name == "Superseded"
        assert product.session(fence) == before


def test_a_run_without_a_lease_takes_only_a_session_that_nobody_holds(product: Product) -> None:
    fence = product.ask()
    before = product.session(fence)
    assert product.start(fence.session_id, epoch=0).name == "Superseded"
    assert product.start(fence.session_id, epoch=1).name == "Superseded"
    assert product.session(fence) == before
    product.sql("UPDATE optimization_sessions SET lease_expires_at = now()")
    assert product.start(fence.session_id, epoch=0).name == "Completed"
    done = product.session(fence)
    assert done.status is SessionStatus.COMPLETED
    assert product.start(fence.session_id, epoch=0).name == "Superseded"
    assert product.session(fence) == done


def test_sessions_that_run_at_the_same_time_share_one_generation(product: Product) -> None:
    at_once = Barrier(2)

    def run(fence: Fence) -> str:
        at_once.wait(timeout=60)
        return product.run(fence).name

    much_to_simulate = {"scenarioGenConfig": {"scenarioCount": 2000}, "maxLossProbability": 1, "cvarLimit": 1}
    fences = [product.ask(**much_to_simulate) for _ in range(2)]
    with in_background(run, fences[0]) as other:
        assert run(fences[1]) == "Completed"
        assert other.result() == "Completed"
    sessions = [product.session(fence) for fence in fences]
    assert product.sql("SELECT outcome FROM matrix_generations") == [("complete",)]
    assert {session.matrix_origin for session in sessions} == {"generated", "hit"}
    assert canonical_json(sessions[0].allocation) == canonical_json(sessions[1].allocation)
