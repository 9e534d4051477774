"""Whole batches, until nothing is left to delete; a real process killed in the midst of one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, event, text

from core.session_states import SessionStatus
from db import sessions
from db.access import create_login_link, redeem_login_link
from db.engine import transaction
from db.fault_points import armed
from db.funds import LOCAL_USER
from db.settings import Settings, child_environment
from tasks.cleaning import DAY_S, JOBS_AT_ONCE, MATRICES_AT_ONCE, CleanupReport, clean_up
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, matrix_key, session_at, store_matrix

SETTINGS = Settings(home="/nowhere")
ROOT = Path(__file__).parents[3]

# Lets one batch through, and kills the process in the second.
KILLED_IN_THE_SECOND_BATCH = """
import sys
from db.engine import make_engine
from db.fault_points import arm, armed
from db.settings import Settings
from tasks.cleaning import clean_up
with armed("cleanup.deleting", lambda: arm("cleanup.deleting=kill")):
    clean_up(make_engine(sys.argv[1]), Settings(home="/nowhere"))
"""


def _count(engine: Engine, table: str) -> int:
    with transaction(engine) as conn:
        return int(conn.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def _fill(engine: Engine, number: int, put: Callable[[Connection, int], object]) -> None:
    with transaction(engine) as conn:
        for one in range(number):
            put(conn, one)


def _put_matrix(conn: Connection, number: int) -> None:
    store_matrix(conn, matrix_key(number))


def _put_large_matrix(conn: Connection, number: int) -> None:
    """As of 50 buckets in 5,000 scenarios; it does not compress."""
    store_matrix(conn, matrix_key(number), random.Random(number).randbytes(1_000_000))


def _put_ended(conn: Connection, _number: int) -> None:
    sessions.cancel(conn, bridge_session(conn), "by the user")


def _months_later(engine: Engine) -> None:
    with transaction(engine) as conn:
        advance_clock(conn, 100 * DAY_S)


@contextmanager
def _transactions(engine: Engine) -> Iterator[list[float]]:
    """How long each one that is committed meanwhile took, seconds."""
    begun: list[float] = []
    took: list[float] = []

    def begin(_conn: object) -> None:
        begun.append(time.monotonic())

    def commit(_conn: object) -> None:
        took.append(time.monotonic() - begun[-1])

    event.listen(engine, "begin", begin)
    event.listen(engine, "commit", commit)
    try:
        yield took
    finally:
        event.remove(engine, "begin", begin)
        event.remove(engine, "commit", commit)


def test_all_that_is_old_goes_and_is_counted_in_batches_that_nobody_waits_for(engine: Engine) -> None:
    _fill(engine, MATRICES_AT_ONCE + 3, _put_large_matrix)
    _fill(engine, JOBS_AT_ONCE + 2, _put_ended)
    _months_later(engine)
    with transaction(engine) as conn:
        needed = session_at(conn, SessionStatus.OPTIMIZING)
    with _transactions(engine) as took:
        assert clean_up(engine, SETTINGS) == CleanupReport(MATRICES_AT_ONCE + 3, JOBS_AT_ONCE + 2, 0)
    # Matrices and rows in two batches each, and a look that finds nothing more at the end of each kind.
    assert len(took) == 8
    assert max(took) < 1
    assert (_count(engine, "scenario_matrices"), _count(engine, "job_outbox")) == (1, 1)
    assert _count(engine, "optimization_sessions") == JOBS_AT_ONCE + 3
    with transaction(engine) as conn:
        assert sessions.owns(conn, needed)
    assert clean_up(engine, SETTINGS) == CleanupReport(0, 0, 0)


def test_each_batch_is_a_transaction_of_its_own(engine: Engine) -> None:
    _fill(engine, MATRICES_AT_ONCE + 1, _put_matrix)
    _months_later(engine)
    seen = []

    def look() -> None:
        seen.append(_count(engine, "scenario_matrices"))

    with ExitStack() as second:

        def look_in_the_second() -> None:
            look()
            second.enter_context(armed("cleanup.deleting", look))

        with armed("cleanup.deleting", look_in_the_second):
            clean_up(engine, SETTINGS)
    # Other transactions see what the batches before have deleted, and nothing of the one at work.
    assert seen == [MATRICES_AT_ONCE + 1, 1]


def test_how_long_things_are_kept_is_configuration(engine: Engine) -> None:
    _fill(engine, 2, _put_matrix)
    _fill(engine, 2, _put_ended)
    with transaction(engine) as conn:
        advance_clock(conn, 2 * DAY_S)
    assert clean_up(engine, SETTINGS) == CleanupReport(0, 0, 0)
    assert clean_up(engine, Settings(home="/nowhere", matrix_kept_days=1.5)) == CleanupReport(2, 0, 0)
    assert clean_up(engine, Settings(home="/nowhere", job_kept_days=1.5)) == CleanupReport(0, 2, 0)


def test_killed_in_the_midst_it_has_deleted_whole_batches_only(engine: Engine) -> None:
    left_over = 5
    _fill(engine, 2 * MATRICES_AT_ONCE + left_over, _put_matrix)
    _months_later(engine)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_SECOND_BATCH, engine.url.render_as_string(hide_password=False)],
        cwd=ROOT,
        env=child_environment({}),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert _count(engine, "scenario_matrices") == MATRICES_AT_ONCE + left_over
    # The killed one's locks may stand for a moment: whoever waits for them waits until PostgreSQL has noticed.
    with transaction(engine) as conn:
        conn.execute(text("SELECT FROM scenario_matrices FOR UPDATE"))
    assert clean_up(engine, SETTINGS).matrices == MATRICES_AT_ONCE + left_over
    assert _count(engine, "scenario_matrices") == 0


def test_ways_in_that_were_spent_long_ago_go(engine: Engine) -> None:
    with transaction(engine) as conn:
        spent, fresh = (create_login_link(conn, LOCAL_USER, timedelta(days=1)) for _ in range(2))
        redeem_login_link(conn, spent, timedelta(days=1))
        conn.execute(text("UPDATE login_links SET used_at = now() - interval '31 d' WHERE used_at IS NOT NULL"))
    assert clean_up(engine, SETTINGS).access == 1
    with transaction(engine) as conn:
        assert redeem_login_link(conn, fresh, timedelta(days=1)) is not None
