"""How fast requests come in, bridges claim them, and how long a row waits for its claim.

    python -m benchmarks.outbox            two minutes or so
    python -m benchmarks.outbox --smoke    a small case, some seconds

On a PostgreSQL of its own that is as durable as the product's (fsync on), removed afterwards. Prefect is left out: a
claim is followed by a mark, with no flow run made in between. Nothing is asserted: a slow machine gives slow numbers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from benchmarks.markdown import table
from core.request import parse_request
from db import outbox
from db.bootstrap import prepare_database
from db.engine import make_engine, transaction
from db.funds import EXAMPLE_FUND_ID, local_user_id
from db.listening import Listener
from db.reference_calibrations import DEFAULT_REFERENCE
from db.requests import request_session, resolve_request
from db.retention import evict_matrices
from db.session_rows import NewSession
from db.sessions import create_session
from db.settings import Settings
from deployments.bridge.bridge import CLAIMED_AT_ONCE, JITTER
from deployments.local.embedded.locks import exclusively
from deployments.local.embedded.postgres import EmbeddedPostgres

CLIENTS = 4
BRIDGES = 2
MATRICES_IN_A_BATCH = 20
LARGEST_MATRIX_BYTES = 400_000
"""100 buckets x 1,000 scenarios of float32, as if nothing of it could be compressed."""

SETTINGS = Settings(home="/nowhere", max_waiting_sessions=1_000_000)

REQUEST = parse_request(
    {
        "fundId": str(EXAMPLE_FUND_ID),
        "totalFundSize": 100_000_000,
        "maxLossProbability": 0.6,
        "cvarLimit": 0.9,
        "buckets": {"stages": ["Seed", "A", "B", "C"], "sectors": [f"S{number}" for number in range(12)]},
        "calibrationVersion": DEFAULT_REFERENCE,
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small case, once")
    smoke = parser.parse_args().smoke
    rounds, requests, arrivals = (1, 60, 20) if smoke else (5, 600, 200)
    load = load_average()
    with temporary_database() as engine:
        rows = [
            _rates("requests checked, resolved, stored", "a second", rounds, lambda: _store(engine, requests)),
            _rates("the same, resolved before", "a second", rounds, lambda: _store_resolved(engine, requests)),
            _rates(f"claims marked, {BRIDGES} bridges", "a second", rounds, lambda: _claim_all(engine, requests)),
            *_waits("stored to claimed, notified", _arrive(engine, arrivals, notified=True)),
            *_waits("stored to claimed, by polling", _arrive(engine, arrivals, notified=False)),
            _rates(f"{MATRICES_IN_A_BATCH} largest matrices evicted", "ms", rounds, lambda: _evict_ms(engine)),
        ]
    print(table(["", "unit", "median", "least", "most"], rows))
    print(f"\nLoad average before: {load}; after: {load_average()}; {os.cpu_count()} CPUs.")


def _rates(name: str, unit: str, rounds: int, measure: Callable[[], float]) -> list[str]:
    values = [measure() for _ in range(rounds)]
    return [name, unit, f"{median(values):,.0f}", f"{min(values):,.0f}", f"{max(values):,.0f}"]


def _waits(name: str, seconds: list[float]) -> list[list[str]]:
    ordered = sorted(1000 * value for value in seconds)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    figures = [f"{median(ordered):,.0f}", f"{ordered[0]:,.0f}", f"{ordered[-1]:,.0f}"]
    return [[name, "ms", *figures], [f"{name}: p99 of {len(ordered)}", "ms", f"{p99:,.0f}", "", ""]]


def _store(engine: Engine, number: int) -> float:
    """Requests a second, each a transaction as `vcfolio request` has it, of a few clients in one process."""
    user = _emptied(engine)
    return _a_second(number, lambda: _request(engine, user))


def _store_resolved(engine: Engine, number: int) -> float:
    """What of that is the database's: session, outbox row and notification."""
    user = _emptied(engine)
    with transaction(engine) as conn:
        resolved = resolve_request(conn, REQUEST)
    new = NewSession(
        fund_id=EXAMPLE_FUND_ID,
        created_by=user,
        request=REQUEST.model_dump(mode="json", by_alias=True, exclude_unset=True),
        request_hash="hash",
        normalized_config=resolved.config.model_dump(mode="json"),
        matrix_key=resolved.matrix_key,
        matrix_key_json=resolved.key_document,
    )

    def store() -> None:
        with transaction(engine) as conn:
            create_session(conn, new, "bridge", None, None)

    return _a_second(number, store)


def _a_second(number: int, act: Callable[[], None]) -> float:
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: act(), range(number)))
        return number / (time.perf_counter() - began)


def _emptied(engine: Engine) -> UUID:
    """No sessions any more; the user who will ask."""
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM optimization_sessions"))
        return local_user_id(conn)


def _request(engine: Engine, user: UUID) -> None:
    request_session(engine, SETTINGS, REQUEST, created_by=user, credential="benchmark", client_key=str(uuid4()))


def _claim_all(engine: Engine, number: int) -> float:
    """Rows a second from pending to enqueued, several bridges sharing them."""
    _store_resolved(engine, number)

    def bridge(_number: int) -> None:
        while _claim_and_mark(engine):
            pass

    with ThreadPoolExecutor(BRIDGES) as pool:
        began = time.perf_counter()
        list(pool.map(bridge, range(BRIDGES)))
        return number / (time.perf_counter() - began)


def _claim_and_mark(engine: Engine) -> list[float]:
    """How long each claimed row had been due."""
    with transaction(engine) as conn:
        jobs = outbox.claim_jobs(conn, CLAIMED_AT_ONCE)
    if jobs:
        with transaction(engine) as conn:
            outbox.mark_enqueued(conn, {job: uuid4() for job in jobs})
    return [job.waited_s for job in jobs]


def _arrive(engine: Engine, number: int, *, notified: bool) -> list[float]:
    """Requests that come at random times, and one bridge that waits for them as `Bridge.run` does."""
    random = Random(7)
    stopping = threading.Event()
    waited: list[float] = []
    user = _emptied(engine)

    def bridge() -> None:
        # A channel that nobody notifies leaves it to polling.
        with Listener(engine, outbox.CHANNEL if notified else "nobody_notifies_this") as listener:
            while not stopping.is_set() or len(waited) < number:
                claimed = _claim_and_mark(engine)
                waited.extend(claimed)
                if not claimed:
                    listener.wait(SETTINGS.bridge_poll_s * random.uniform(1 - JITTER, 1))

    thread = threading.Thread(target=bridge)
    thread.start()
    for _ in range(number):
        time.sleep(random.expovariate(8))
        _request(engine, user)
    stopping.set()
    thread.join()
    return waited


def _evict_ms(engine: Engine) -> float:
    with transaction(engine) as conn:
        conn.execute(
            text("""
                INSERT INTO scenario_matrices (matrix_key, matrix_key_json, sim_model_version, calibration_version,
                  status, generation, completed_at, last_accessed_at, moic_matrix, bucket_keys, scenario_states,
                  bucket_params, bucket_stats, compression_codec, matrix_layout, bucket_count, s_opt, payload_sha256)
                SELECT 'matrix_v1.2_' || encode(sha256(i::text::bytea), 'hex'), '{}', 'v1', 'c1', 'complete', 1, now(),
                  now() - interval '90 days', noise.bytes, '[]', '[]', '[]', '{}', 'zlib', 'row-major', 1, 1,
                  repeat('0', 64)
                FROM generate_series(1, :number) AS i, (
                  SELECT string_agg(uuid_send(gen_random_uuid()), NULL) AS bytes FROM generate_series(1, :bytes / 16)
                ) AS noise
            """),
            {"number": MATRICES_IN_A_BATCH, "bytes": LARGEST_MATRIX_BYTES},
        )
    began = time.perf_counter()
    with transaction(engine) as conn:
        evicted = evict_matrices(conn, complete_s=1, failed_s=1, limit=MATRICES_IN_A_BATCH)
    elapsed_ms = 1000 * (time.perf_counter() - began)
    assert evicted == MATRICES_IN_A_BATCH
    return elapsed_ms


@contextmanager
def temporary_database() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="vcfolio-benchmark-") as directory:
        home = Path(directory)
        # Where root runs the benchmark, the database server's own account must be able to enter.
        home.chmod(0o711)
        with EmbeddedPostgres(home) as postgres:
            postgres.ensure_database("vcfolio")
            engine = make_engine(postgres.url("vcfolio"), max_connections=CLIENTS + 2)
            prepare_database(engine)
            yield engine
            engine.dispose()
        with exclusively(postgres.root / "warden.lock"):
            pass


def load_average() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


if __name__ == "__main__":
    main()
