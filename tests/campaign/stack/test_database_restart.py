"""PostgreSQL restarted at once under a session."""

from __future__ import annotations

import pytest

from core.session_states import SessionStatus
from tests.system.stack.running import Stack
from tests.system.stack.test_faults_of_the_stack import _restart_at_once

pytestmark = pytest.mark.xdist_group("stack")


def test_a_session_survives_an_immediate_restart_of_postgres(stack: Stack) -> None:
    session_id = stack.request_caught("stop")
    runner = stack.solver_stopped(session_id)
    _restart_at_once(stack)
    runner.resume()
    assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
    assert stack.rows("SELECT count(*) FROM job_outbox WHERE session_id = :id", id=session_id) == [(1,)]
