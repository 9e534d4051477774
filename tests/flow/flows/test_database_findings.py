"""What `vcfolio doctor` says of the database: what waits, since when, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine

from db.engine import transaction
from deployments.bridge.name import BRIDGE
from deployments.local.health import LONGEST_DUE_S, LONGEST_WAITING_S, Finding, database_findings
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, inline_session
from tests.db.store.lost_sessions import stray_session


def told(engine: Engine) -> dict[str, Finding]:
    return {finding.subject: finding for finding in database_findings(engine)}


def test_where_nothing_waits_only_a_bridge_is_missing(engine: Engine) -> None:
    assert [subject for subject, finding in told(engine).items() if not finding.fine] == ["bridge"]
    with engine.connect() as conn:
        conn.exec_driver_sql(f"SET application_name = '{BRIDGE}'")
        assert told(engine)["bridge"].words == "1 connected"


def test_a_row_that_nobody_claims_is_told_after_a_minute(engine: Engine) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
        advance_clock(conn, LONGEST_DUE_S - 20)
    assert told(engine)["outbox"].fine
    with transaction(engine) as conn:
        advance_clock(conn, 20)
    assert not told(engine)["outbox"].fine
    assert "the bridge is not running" in told(engine)["outbox"].words


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ([bridge_session], "; without one: 1, see `vcfolio outbox list`"),
        (
            [lambda conn: stray_session(conn, uuid4())],
            "; with a flow run: 1, more workers or a larger VCFOLIO_MAX_SESSIONS would start them sooner",
        ),
        ([bridge_session, inline_session, bridge_session], "would start them sooner; without one: 2, see"),
    ],
)
def test_sessions_that_wait_for_long_are_told_with_what_would_help(
    engine: Engine, wait: list[Callable[[Connection], object]], words: str
) -> None:
    with transaction(engine) as conn:
        for one in wait:
            one(conn)
    assert told(engine)["sessions"].fine
    with transaction(engine) as conn:
        advance_clock(conn, LONGEST_WAITING_S)
    sessions = told(engine)["sessions"]
    assert not sessions.fine
    assert sessions.words.startswith(f"{len(wait)} waiting, the oldest for 60")
    assert words in sessions.words
