"""How long requests take through the running stack: server, bridge and warm worker, as `vcfolio up` starts them.

    python -m benchmarks.stack                      all parts; half an hour, most of it the thousand
    python -m benchmarks.stack --parts cached,ten   some of them
    python -m benchmarks.stack --queued 200         fewer than a thousand
    python -m benchmarks.stack --smoke              a little of each

    cached   request to COMPLETED, one at a time, with a stored matrix
    lost     a worker killed with its run, until the next run takes the session
    ten      ten requests at the same time, repeatedly, and how many found their matrix
    drain    small requests that all wait at once; none may be lost

On a temporary home, removed afterwards; times are the database's. A session that fails ends the benchmark; a slow
machine only gives slow numbers.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.markdown import table
from benchmarks.running_stack import RunningStack, running_stack, seconds

EXAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "examples" / "fund.json").read_text())
ENDLESS = EXAMPLE | {
    "maxLossProbability": 0.12,
    "cvarLimit": 0.3,
    "minExpectedWinners": 1.75,
    "scenarioGenConfig": {"scenarioCount": 400},
    "workLimit": 2**31 - 1,
}
SMALL = EXAMPLE | {
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health"]},
    "scenarioGenConfig": {"scenarioCount": 40},
    "validationScenarios": 100,
    "maxLossProbability": 1,
    "cvarLimit": 1,
    "minExpectedWinners": 0,
    "bucketMaxWeight": 0.6,
    "sectorBounds": {},
    "stageBounds": {},
}

LIMITS: list[dict[str, Any]] = [
    {},
    {"cvarLimit": 0.4},
    {"cvarLimit": 0.5},
    {"maxLossProbability": 0.25},
    {"maxLossProbability": 0.3},
    {"totalFundSize": 200_000_000},
    {"bucketMaxWeight": 0.1},
    {"bucketMaxWeight": 0.2},
    {"stageBounds": {}},
]
"""Nine requests on the same scenario set."""

Rows = list[list[str]]
Size = argparse.Namespace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--queued", type=int, default=1000, help="sessions that wait at once in `drain`")
    parser.add_argument("--smoke", action="store_true", help="a little of each")
    arguments = parser.parse_args()
    names = arguments.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"--parts: no such part: {', '.join(sorted(unknown))}")
    for name in names:
        before = _load_average()
        with running_stack() as stack:
            rows = PARTS[name](stack, arguments)
        print(table([f"{name} (load average {before} before, {_load_average()} after)", "", "aim"], rows), flush=True)


def cached(stack: RunningStack, size: Size) -> Rows:
    """The example fund, whose matrix the first request has made."""
    stack.ended([stack.ask(EXAMPLE)])
    sessions = [stack.ended([stack.ask(EXAMPLE)])[0] for _ in range(3 if size.smoke else 21)]
    assert {session.matrix_origin for session in sessions} == {"hit"}
    waits = [(session.matrix_started_at - session.created_at).total_seconds() for session in sessions]
    return [
        _spread("request to COMPLETED, matrix cached", [seconds(session) for session in sessions], "3 s"),
        _spread("of which until a run has begun", waits, ""),
    ]


def lost(stack: RunningStack, size: Size) -> Rows:
    """Killed while it solves; the lease is as by default."""
    taken = []
    for number in range(1 if size.smoke else 3):
        session_id = stack.ask(ENDLESS | {"taxonomyVersion": f"lost {number}"})
        running = stack.wait_until(session_id, lambda session: "work" in (session.progress or {}))
        ((killed_at,),) = stack.rows("SELECT clock_timestamp()")
        stack.kill_worker_and_run(running)
        stack.wait_until(session_id, lambda session: session.epoch == 1 and session.lease_token is not None)
        ((resumed_at,),) = stack.rows("SELECT clock_timestamp()")
        taken.append((resumed_at - killed_at).total_seconds())
        stack.rows(
            "UPDATE optimization_sessions SET status = 'FAILED', error_code = 'cancelled', error_reason = 'measured', "
            "completed_at = now(), lease_token = NULL, lease_expires_at = NULL, lease_owner = NULL "
            "WHERE session_id = :id RETURNING session_id",
            id=session_id,
        )
    return [_spread("worker killed to session resumed", taken, "65 s and Prefect's start")]


def ten(stack: RunningStack, size: Size) -> Rows:
    """Each round has nine requests on one scenario set and one with another reserve ratio; a scenario set serves two
    rounds."""
    sessions = []
    for round_ in range(2 if size.smoke else 6):
        scenario_set = {"taxonomyVersion": f"scenarios {round_ // 2}"}
        reserves = {"policy": {"reserveRatioByStage": {"Seed": 1 + round_ / 10}}}
        questions = [EXAMPLE | scenario_set | change for change in (*LIMITS, reserves)]
        with ThreadPoolExecutor(len(questions)) as pool:
            sessions += stack.ended(list(pool.map(stack.ask, questions)))
    times = sorted(seconds(session) for session in sessions)
    hits = sum(session.matrix_origin == "hit" for session in sessions)
    return [
        _spread("request to COMPLETED, ten at once", times, ""),
        [f"the same, p95 of {len(times)}", f"{times[round(0.95 * len(times)) - 1]:.1f} s", "60 s"],
        ["matrices found", f"{hits} of {len(sessions)}, {hits / len(sessions):.0%}", "80%"],
    ]


def drain(stack: RunningStack, size: Size) -> Rows:
    number = 20 if size.smoke else size.queued
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(stack.ask, [SMALL] * number))
    sessions = stack.ended(ids)
    assert len({session.session_id for session in sessions}) == number
    assert {(session.epoch, session.rescues) for session in sessions} == {(0, 0)}
    runs = {session.flow_run_id for session in sessions}
    took_s = (
        max(session.completed_at for session in sessions) - min(session.created_at for session in sessions)
    ).total_seconds()
    return [
        ["sessions asked for at once", f"{number:,}", ""],
        ["COMPLETED, each in one run", f"{len(runs):,}", f"{number:,}"],
        ["until the last was", f"{took_s:,.0f} s, {number / took_s:.2f} a second", ""],
    ]


PARTS: dict[str, Callable[[RunningStack, Size], Rows]] = {"cached": cached, "lost": lost, "ten": ten, "drain": drain}


def _spread(name: str, values: list[float], aim: str) -> list[str]:
    figures = f"median {median(values):.2f} s, {min(values):.2f} to {max(values):.2f}, of {len(values)}"
    return [name, figures, aim]


def _load_average() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
