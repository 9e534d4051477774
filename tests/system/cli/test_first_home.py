"""A home that does not exist yet, and one whose servers live for as long as a command."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.command_line import CommandLine
from tests.system.cli.conftest import FirstRun
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("cli")


def test_the_first_command_on_a_home_that_does_not_exist_works_and_leaves_no_process(first_run: FirstRun) -> None:
    result = json.loads(first_run.output)
    assert (result["status"], result["matrixCache"]) == ("COMPLETED", "generated")
    assert first_run.left_behind == []
    assert "Traceback" not in first_run.notes


def test_no_server_outlives_the_kill_of_its_only_user(alone: CommandLine, write: Callable[..., str]) -> None:
    process = alone.start("run", write(), "--json", VCFOLIO_FAULT="optimize.solving=stop")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("session ")
    process.kill()
    process.communicate()
    assert eventually(lambda: not alone.processes())


def test_the_schema_of_the_database_goes_down_and_up_and_no_command_leaves_a_process(alone: CommandLine) -> None:
    def described() -> dict:
        document = alone.json("db", "info", "--json")
        assert eventually(lambda: not alone.processes())
        return document

    at_first = described()
    assert at_first["schema"] == at_first["newestSchema"]
    assert at_first["embedded"] is True
    assert at_first["location"] == str(alone.home / "postgres")
    assert at_first["rows"]["optimization_sessions"] > 0
    assert "base" in alone.call("db", "downgrade", "base")[0]
    assert (described()["schema"], described()["rows"]) == (None, {})
    assert at_first["newestSchema"] in alone.call("db", "upgrade")[0]
    assert described()["rows"]["optimization_sessions"] == 0
    assert "0999" in alone.call("db", "downgrade", "0999", code=2)[1]
