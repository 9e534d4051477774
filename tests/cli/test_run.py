"""`vcfolio run` from request to answer, recalculated by other code; and what a kill -9 leaves to be resumed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from db.embedded.postgres import EmbeddedPostgres
from tests.cli.command import CommandLine, kill

pytestmark = pytest.mark.xdist_group("cli-run")

FIELDS = {
    *("sessionId", "status", "matrixKey", "matrixCache", "expectedMoic", "lossProbability", "cvar", "expectedWinners"),
    *("allocation", "constraints", "relaxations", "solver", "validation", "timings"),
}


def test_a_run_reports_figures_that_other_code_finds_too_and_repeats_to_the_bit(
    vcfolio: CommandLine, write: Callable[..., str], tmp_path: Path
) -> None:
    request = write()
    first, second = vcfolio.json("run", request, "--json"), vcfolio.json("run", request, "--json")
    assert set(first) >= FIELDS
    assert (first["status"], first["matrixCache"], second["matrixCache"]) == ("COMPLETED", "generated", "hit")
    assert first["allocation"] == second["allocation"]
    vcfolio.call("simulate", request, "--out", str(tmp_path / "m.parquet"))
    rows = pq.read_table(tmp_path / "m.parquet").to_pylist()
    allocation = first["allocation"]
    assert [row["key"] for row in rows] == [entry["bucketId"] for entry in allocation]
    weights = [entry["weight"] for entry in allocation]
    scenarios = range(len(rows[0]["moic"]))
    multiples = [math.fsum(w * row["moic"][s] for w, row in zip(weights, rows, strict=True)) for s in scenarios]
    n = len(multiples)
    assert first["expectedMoic"] == pytest.approx(math.fsum(multiples) / n, abs=1e-12)
    assert first["lossProbability"] == sum(m < 1 - 1e-9 for m in multiples) / n
    losses = sorted((max(0.0, 1 - m) for m in multiples), reverse=True)
    assert n * 0.05 == pytest.approx(6)
    assert first["cvar"] == pytest.approx(math.fsum(losses[:6]) / 6, abs=1e-12)
    winners = math.fsum(
        w * 50e6 / (row["initial_check_usd"] * (1 + row["reserve_ratio"])) * row["win_probability"]
        for w, row in zip(weights, rows, strict=True)
    )
    assert first["expectedWinners"] == pytest.approx(winners, abs=1e-12)
    assert sum(round(entry["dollarAmount"] * 100) for entry in allocation) == 50_000_000_00
    assert max(weights) <= 0.4 + 1e-7
    assert math.fsum(e["weight"] for e in allocation if e["sector"] == "AI") <= 0.6 + 1e-7
    assert math.fsum(e["weight"] for e in allocation if e["stage"] == "Seed") >= 0.1 - 1e-7
    assert all(constraint["satisfied"] for constraint in first["constraints"])
    stored = vcfolio.json("result", first["sessionId"], "--json")
    assert stored == first
    assert vcfolio.json("status", first["sessionId"], "--json")["status"] == "COMPLETED"


# What makes a stage last long enough to be struck in it.
SLOW = {
    "MATRIX_GENERATING": {"scenarioGenConfig": {"scenarioCount": 15_000}, "maxLossProbability": 1, "cvarLimit": 1},
    "OPTIMIZING": {
        "buckets": {"stages": ["Seed", "A", "B"], "sectors": ["AI", "Bio", "Fin", "Health", "Media", "Tech"]},
        "scenarioGenConfig": {"scenarioCount": 300},
        "maxLossProbability": 0.3,
        "bucketMaxWeight": 0.15,
        "minExpectedWinners": 0,
        "workLimit": 30_000,
    },
    "VALIDATING": {"validationScenarios": 150_000},
}
STAGES = ("matrix_completed_at", "optimization_completed_at")


@pytest.mark.parametrize("stage", SLOW)
def test_a_killed_run_is_resumed_without_repeating_what_is_stored(
    vcfolio: CommandLine, write: Callable[..., str], stage: str
) -> None:
    columns = f"session_id, status, epoch, {', '.join(STAGES)}"
    with EmbeddedPostgres(vcfolio.home) as postgres:
        postgres.ensure_database("vcfolio")
        engine = create_engine(postgres.url("vcfolio"))
        vcfolio.call("db", "upgrade")

        def newest() -> dict[str, object] | None:
            query = text(f"SELECT {columns} FROM optimization_sessions ORDER BY created_at DESC LIMIT 1")
            with engine.begin() as connection:
                row = connection.execute(query).mappings().one_or_none()
                return None if row is None else dict(row)

        earlier = newest()
        process = vcfolio.start("run", write(**SLOW[stage]))
        deadline = time.monotonic() + 120
        while (seen := newest()) == earlier or seen is None or seen["status"] != stage:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
        kill(process)
        before = newest()
        assert before is not None
        assert before["status"] == stage
        resumed = json.loads(vcfolio.call("run", "--resume", str(before["session_id"]), "--json")[0])
        after = newest()
        assert after is not None
        assert (resumed["status"], after["status"], after["epoch"]) == ("COMPLETED", "COMPLETED", 1)
        assert all(before[name] is None or after[name] == before[name] for name in STAGES)
        with engine.begin() as connection:
            jobs = connection.execute(
                text("SELECT status, epoch FROM job_outbox WHERE session_id = :id"), {"id": before["session_id"]}
            ).all()
        assert [tuple(job) for job in jobs] == [("enqueued", 1)]
        engine.dispose()
