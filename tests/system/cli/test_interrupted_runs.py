"""A run that is killed and one that is interrupted while it solves: nothing is lost, and it is finished by resume."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import Engine

from core.session_states import SessionStatus
from tests.command_line import CommandLine, finish
from tests.system.cli.caught_runs import Caught, is_finished_by_resume, load

pytestmark = pytest.mark.xdist_group("cli")


def test_a_run_killed_while_it_solves_is_finished_by_resume_without_repeating_what_is_stored(
    processes: CommandLine, database: Engine, caught: Caught
) -> None:
    process, session_id = caught("optimize.solving")
    process.kill()
    process.communicate()
    before = load(database, session_id)
    assert before.status is SessionStatus.OPTIMIZING
    is_finished_by_resume(processes, database, before)


def test_ctrl_c_says_how_to_resume_and_leaves_the_session_free_at_once(
    processes: CommandLine, database: Engine, caught: Caught
) -> None:
    process, session_id = caught("optimize.solving", "hold")
    process.send_signal(signal.SIGINT)
    output, notes = finish(process, code=1)
    assert output == ""
    assert f"vcfolio run --resume {session_id}" in notes
    assert "Traceback" not in notes
    session = load(database, session_id)
    assert (session.status, session.lease_token) == (SessionStatus.OPTIMIZING, None)
    assert "no process runs it" in processes.call("status", str(session_id))[0]
