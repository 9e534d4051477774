"""Parts of the stack on a machine that shares nothing but the two servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import Stack
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("campaign-stack")


@pytest.mark.parametrize("part", ["worker", "worker --scheduled", "bridge"])
def test_a_part_needs_the_two_servers_and_no_home(stack: Stack, tmp_path: Path, part: str) -> None:
    machine = CommandLine(tmp_path / "home", tmp_path)
    log = tmp_path / "log"
    servers = {
        "DATABASE_URL": stack.engine.url.render_as_string(hide_password=False),
        "PREFECT_API_URL": stack.prefect_url,
        "PREFECT_API_AUTH_STRING": ":".join(stack.prefect_login),
    }
    with log.open("w") as output:
        process = machine.start(*part.split(), **QUICK, **servers, output=output)
    try:
        assert eventually(lambda: " started" in log.read_text()), log.read_text()
    finally:
        process.terminate()
    assert process.wait(60) == 0
    # Nothing but lines of the log: no warning of a library.
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert f"{part.partition(' ')[0]} stopped" in [line["message"] for line in lines]
