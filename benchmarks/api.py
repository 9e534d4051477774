"""How many status reads a second one API process answers, and how long they take, with many sessions stored.

    python -m benchmarks.api            a minute or so
    python -m benchmarks.api --smoke    a small case, some seconds

The API runs in its own process over its own PostgreSQL, as durable as the product's; the clients are another process
on the same processors. `/health`, which does not use the database, is measured beside it: it shows what HTTP alone
costs here. Nothing is asserted: a slow machine gives slow numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from statistics import median

import httpx
import psutil
from sqlalchemy import Engine, text

from benchmarks.markdown import table
from benchmarks.outbox import REQUEST, load_average, temporary_database
from core.request import request_hash
from db.access import create_token
from db.engine import make_engine, transaction
from db.funds import EXAMPLE_FUND_ID, LOCAL_USER, local_user_id
from db.requests import resolve_request
from db.session_rows import NewSession
from db.sessions import create_session
from db.settings import Settings
from db.tables.access import Scope
from deployments.cli.api_command import CONNECTIONS, TIMEOUTS

CLIENTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small case, once")
    smoke = parser.parse_args().smoke
    rounds, stored, reads = (1, 200, 200) if smoke else (3, 10_000, 1000)
    load = load_average()
    with temporary_database() as engine:
        sessions, secret = _filled(engine, stored)
        with _served(engine) as (url, server):
            random = Random(7)
            paths = {
                "status": [f"/api/optimization/status/{random.choice(sessions)}" for _ in range(reads)],
                "first page of the list": ["/api/optimization/sessions"] * (reads // 10),
                "health": ["/health"] * reads,
            }
            measured = {
                name: [_measured(server, url, secret, each) for _ in range(rounds)] for name, each in paths.items()
            }
    rows = [row for name, rounds_of in measured.items() for row in _rows(name, rounds_of)]
    print(f"{stored:,} sessions stored, {CLIENTS} clients at once.\n")
    print(table(["", "unit", "median", "least", "most"], rows))
    print(f"\nLoad average before: {load}; after: {load_average()}; {os.cpu_count()} CPUs.")


@dataclass(frozen=True)
class Round:
    """rate: reads a second. cpu_ms: processor time of the API's process for one read. times_ms: of each, ascending."""

    rate: float
    cpu_ms: float
    times_ms: Sequence[float]

    @property
    def p99_ms(self) -> float:
        return self.times_ms[min(len(self.times_ms) - 1, round(0.99 * len(self.times_ms)))]


def _rows(name: str, rounds: Sequence[Round]) -> list[list[str]]:
    return [
        [label, unit, f"{median(values):,.1f}", f"{min(values):,.1f}", f"{max(values):,.1f}"]
        for label, unit, values in (
            (f"{name}: reads", "a second", [one.rate for one in rounds]),
            (f"{name}: processor time of the API for one", "ms", [one.cpu_ms for one in rounds]),
            (f"{name}: median time", "ms", [median(one.times_ms) for one in rounds]),
            (f"{name}: p99", "ms", [one.p99_ms for one in rounds]),
        )
    ]


def _measured(server: psutil.Process, url: str, secret: str, paths: Sequence[str]) -> Round:
    before = server.cpu_times()
    rate, times = asyncio.run(_read(url, secret, paths))
    after = server.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return Round(rate, 1000 * cpu_s / len(paths), sorted(1000 * seconds for seconds in times))


async def _read(url: str, secret: str, paths: Sequence[str]) -> tuple[float, list[float]]:
    """Reads a second, and how many seconds each took. Every answer must be good."""
    times: list[float] = []
    waiting = iter(paths)
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

    async def client() -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, trust_env=False, timeout=60) as http:
            for path in waiting:
                began = time.perf_counter()
                (await http.get(path)).raise_for_status()
                times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(paths) / (time.perf_counter() - began), times


def _filled(engine: Engine, number: int) -> tuple[list[str], str]:
    """The ids of so many sessions, a hundredth of them waiting and the others ended, and a token that reads."""
    with transaction(engine) as conn:
        resolved = resolve_request(conn, REQUEST)
        new = NewSession(
            fund_id=EXAMPLE_FUND_ID,
            created_by=local_user_id(conn),
            request=REQUEST.model_dump(mode="json", by_alias=True, exclude_unset=True),
            request_hash=request_hash(REQUEST),
            normalized_config=resolved.config.model_dump(mode="json"),
            matrix_key=resolved.matrix_key,
            matrix_key_json=resolved.key_document,
        )
        sessions = [str(create_session(conn, new, "bridge", None, None).session.session_id) for _ in range(number)]
        conn.execute(
            text("""
                UPDATE optimization_sessions SET status = 'FAILED', error_code = 'benchmark',
                  error_reason = 'ended', completed_at = now()
                WHERE session_id = ANY(CAST(:ended AS uuid[]))
            """),
            {"ended": sessions[number // 100 :]},
        )
        _, secret = create_token(
            conn, user_name=LOCAL_USER, name="benchmark", scopes=[Scope.READ], lifetime=timedelta(days=1)
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
    return sessions, secret


@contextmanager
def _served(engine: Engine) -> Iterator[tuple[str, psutil.Process]]:
    """The address of an API, and its process."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(engine.url.render_as_string(hide_password=False), theirs))
    process.start()
    try:
        yield ours.recv(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join()


def _serve(database_url: str, ready: multiprocessing.connection.Connection) -> None:
    """As `vcfolio api` does, on a free port."""
    import socket  # noqa: PLC0415 - in the child alone

    import uvicorn  # noqa: PLC0415

    from api.app import create_app  # noqa: PLC0415

    engine = make_engine(database_url, max_connections=CONNECTIONS, timeouts=TIMEOUTS)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    ready.send(f"http://127.0.0.1:{listening.getsockname()[1]}")  # what comes before it listens waits in the queue
    app = create_app(engine, Settings(home="/nowhere"))
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
