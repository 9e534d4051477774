"""How a session fails, and how it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from core.session_states import SessionStatus
from db.engine import transaction
from db.fault_points import armed, held
from db.session_rows import Fence
from db.sessions import cancel
from deployments.local.embedded.postgres import EmbeddedPostgres
from tests.flow.flows.conftest import HOME
from tests.flow.flows.product import PATIENCE_S, Product, in_background, task_states

pytestmark = pytest.mark.xdist_group("flows")

IMPOSSIBLE = {"minExpectedWinners": 1000, "relaxationMode": "off"}
OUT_OF_WORK = {"workLimit": 1, "maxLossProbability": 0.2}


@pytest.mark.parametrize(("changes", "code"), [(IMPOSSIBLE, "infeasible"), (OUT_OF_WORK, "no_answer_within_limit")])
def test_a_request_without_an_answer_fails_with_the_reason(
    product: Product, changes: dict, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    fence = product.ask(**changes)
    state = product.run(fence)
    session = product.session(fence)
    assert (state.name, session.status, session.error_code) == ("Failed", SessionStatus.FAILED, code)
    assert session.lease_token is None
    assert task_states(session.flow_run_id, "optimize")["optimize"] == ["Failed"]
    line = next(record for record in caplog.records if code in record.getMessage() and record.name.startswith("flows"))
    assert (line.session_id, line.epoch, line.stage) == (str(fence.session_id), 0, "FAILED")


TAMPERED = {
    "moved": "jsonb_set(jsonb_set(allocation, '{0,weight}', '0.4'), '{3,weight}', '0.1')",
    "more than all": "jsonb_set(allocation, '{0,weight}', '0.11')",
    "less than nothing": "jsonb_set(jsonb_set(allocation, '{0,weight}', '-0.1'), '{1,weight}', '0.4')",
    "none": """(SELECT jsonb_agg(entry || '{"weight": 0}') FROM jsonb_array_elements(allocation) entry)""",
    "a bucket short": "allocation - 3",
    "another bucket": """jsonb_set(allocation, '{0,bucketId}', '"Seed_AI"')""",
    "other deals": "jsonb_set(allocation, '{0,dealCount}', '99')",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_stored_allocation_that_was_tampered_with_is_never_completed(product: Product, how: str) -> None:
    example = product.completed()
    fence = product.ask()
    product.bring_to(fence, SessionStatus.VALIDATING, example)
    product.sql(
        f"UPDATE optimization_sessions SET allocation = {TAMPERED[how]} WHERE session_id = :id", id=fence.session_id
    )
    assert product.run(fence).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "invalid_allocation")


def test_a_stored_allocation_that_breaks_a_limit_is_never_completed(product: Product) -> None:
    """It is whole, and its deals are those that its weights buy: only the limit speaks against it."""
    limit = {"bucketMaxWeight": 0.35}
    fence = product.ask(**limit)
    allocation = product.bring_to(fence, SessionStatus.VALIDATING, product.completed(**limit))
    assert allocation is not None
    assert max(entry["weight"] for entry in allocation) > limit["bucketMaxWeight"]
    assert product.run(fence).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "invalid_allocation")
    assert "breaks the limits" in str(session.error_reason)


def test_an_allocation_changed_while_it_is_validated_is_not_completed_with_the_figures_of_the_other(
    product: Product,
) -> None:
    fence = product.ask()
    change = f"UPDATE optimization_sessions SET allocation = {TAMPERED['more than all']}"
    with armed("validate.before_transition", lambda: product.sql(change) and None):
        assert product.run(fence).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "invalid_allocation")
    assert session.validation_metrics is None


def test_a_key_document_whose_hashes_do_not_match_fails_the_matrix_and_its_session(product: Product) -> None:
    fence = product.ask()
    product.sql(
        "UPDATE optimization_sessions "
        "SET matrix_key_json = jsonb_set(matrix_key_json, '{bucket_params,0,median_moic}', '99')"
    )
    assert product.run(fence).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "matrix_failed")
    assert product.sql("SELECT status, moic_matrix FROM scenario_matrices") == [("failed", None)]
    assert product.completed().matrix_generation == 2


def test_an_unforeseen_error_may_be_bad_luck_once_and_fails_the_session_the_second_time(product: Product) -> None:
    fence = product.ask()
    product.sql("""UPDATE optimization_sessions SET normalized_config = '{"unreadable": true}'""")
    assert product.run(fence).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.unclassified_failures) == (SessionStatus.OPTIMIZING, 1)
    assert session.lease_token is None
    assert product.run(product.again(fence)).name == "Failed"
    session = product.session(fence)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "internal_error")


def _reopen(product: Product, fence: Fence) -> None:
    product.again(fence)


def _cancel(product: Product, fence: Fence) -> None:
    with transaction(product.engine) as conn:
        assert cancel(conn, fence.session_id, "not wanted any more")


@pytest.mark.parametrize(("lose", "end"), [(_reopen, "Superseded"), (_cancel, "Cancelled")])
def test_a_solver_whose_session_is_lost_stops_and_writes_nothing(
    product: Product, lose: Callable[[Product, Fence], None], end: str
) -> None:
    fence = product.ask()
    with held("optimize.solving"), in_background(product.run, fence) as run:
        product.until(lambda: "step" in (product.session(fence).progress or {}))
        lose(product, fence)
        lost = product.session(fence)
        assert run.result(timeout=PATIENCE_S).name == end
    assert product.session(fence) == lost
    assert lost.allocation is None


STRIKE_EVERY_OTHER_WRITE = (
    "CREATE SEQUENCE writes",
    """
    CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('writes') % 2 = 1 THEN
        PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER strike BEFORE UPDATE ON optimization_sessions FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.flow_run_id IS DISTINCT FROM NEW.flow_run_id) EXECUTE FUNCTION strike()
    """,
    """
    CREATE TRIGGER strike BEFORE INSERT OR UPDATE OF outcome ON matrix_generations FOR EACH ROW
    EXECUTE FUNCTION strike()
    """,
)


def test_a_session_survives_the_loss_of_its_connection_in_every_write(product: Product) -> None:
    """The server ends the connection in the middle of each write; the second try gets through."""
    fence = product.ask()
    for statement in STRIKE_EVERY_OTHER_WRITE:
        product.sql(statement)
    assert product.run(fence).name == "Completed"
    session = product.session(fence)
    assert (session.status, session.matrix_generation) == (SessionStatus.COMPLETED, 1)
    # The flow run's id, two writes of the generation, four transitions: each of them twice.
    assert product.sql("SELECT last_value FROM writes") == [(14,)]


CUT_OFF_EACH_COMMIT = (
    "CREATE SEQUENCE writes",
    """
    CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM nextval('writes'), set_config('synchronous_commit', 'on', true);
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER wait_at_commit BEFORE UPDATE ON optimization_sessions FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.flow_run_id IS DISTINCT FROM NEW.flow_run_id)
    EXECUTE FUNCTION wait_at_commit()
    """,
)


@pytest.fixture
def absent_standby(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A synchronous commit now waits for a standby that never comes; the others are not affected."""

    def configure(statement: str) -> None:
        with psycopg.connect(postgres.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")

    configure("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    yield
    configure("ALTER SYSTEM RESET synchronous_standby_names")


def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_taken_for_the_work_of_another(
    product: Product, absent_standby: None
) -> None:
    """Each transition is cut off while its commit waits for the standby: it is stored, and nobody was told."""
    fence = product.ask()
    for statement in CUT_OFF_EACH_COMMIT:
        product.sql(statement)
    cut_off = 0
    with in_background(product.run, fence) as run:
        while not run.done():
            cut_off += len(
                product.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            )
            time.sleep(0.01)
    assert run.result().name == "Completed"
    assert product.session(fence).status is SessionStatus.COMPLETED
    # The flow run's id and four transitions.
    assert (cut_off, product.sql("SELECT last_value FROM writes")) == (5, [(5,)])


def test_an_entry_of_prefects_cache_that_was_cut_short_is_no_obstacle(product: Product) -> None:
    first = product.completed()
    (HOME / "results" / first.matrix_key).write_bytes(b'{"metadata": {')
    second = product.completed()
    assert second.allocation == first.allocation
    assert task_states(second.flow_run_id, "matrix")["matrix"] == ["Completed"]
