"""A host whose clock is ten minutes off, for real: the process lives in that time, and only the database's counts."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.session_states import SessionStatus
from tests.command_line import finish
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import Stack, stopped
from tests.waiting import eventually

pytestmark = [pytest.mark.xdist_group("campaign-stack"), pytest.mark.usefixtures("made_whole")]

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
"""Of Debian's package libfaketime. It changes what the time of day is, for one process."""


@pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime, of the Debian package of that name")
@pytest.mark.parametrize("off_s", [600, -600])
def test_a_bridge_ten_minutes_off_rescues_the_lost_leaves_the_living_and_begins_at_once(
    stack: Stack, tmp_path: Path, off_s: int
) -> None:
    living, lost = (stack.request_caught("hold") for _ in range(2))
    for session_id in (living, lost):
        stack.solving(session_id)
    clock = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": f"{off_s:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    log = tmp_path / "bridge.log"
    with stopped(stack.part("bridge")), stopped(stack.part("worker", "--scheduled")), log.open("w") as output:
        bridge = stack.command.start("bridge", **QUICK, **clock, output=output)
        try:
            assert eventually(lambda: "bridge started" in log.read_text()), log.read_text()
            stack.runner_of(stack.session(lost)).kill()
            lease_ends = stack.session(lost).lease_expires_at
            # Had its run been planned by the bridge's clock, it would begin in ten minutes.
            resumed = stack.wait_until(lost, lambda session: session.epoch == 1 and session.lease_token is not None)
        finally:
            bridge.send_signal(signal.SIGINT)
            finish(bridge)
        assert resumed.status is SessionStatus.OPTIMIZING
        rescued = "SELECT created_at FROM session_events WHERE session_id = :id AND kind = 'rescued'"
        ((rescued_at,),) = stack.rows(rescued, id=lost)
        assert rescued_at >= lease_ends
        other = stack.session(living)
        assert (other.status, other.epoch, stack.events(living)) == (SessionStatus.OPTIMIZING, 0, [])
    (started,) = (json.loads(line) for line in log.read_text().splitlines() if "bridge started" in line)
    its_time = datetime.fromisoformat(started["time"])
    assert abs(its_time - datetime.now(UTC) - timedelta(seconds=off_s)) < timedelta(minutes=5)
