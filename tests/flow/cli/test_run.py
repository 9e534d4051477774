"""`vcfolio run`, `simulate`, `status` and `result`: from a request to an answer that other code finds too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, text

import vcfolio as vcfolio_package
from db.engine import transaction
from tests.command_line import Vcfolio
from tests.flow.cli import recalculation
from tests.request_files import REQUEST, write_request

pytestmark = pytest.mark.xdist_group("cli")

FIELDS = {
    *("sessionId", "status", "matrixKey", "matrixCache", "expectedMoic", "lossProbability", "cvar", "expectedWinners"),
    *("allocation", "constraints", "relaxations", "solver", "validation", "timings"),
}
OF_A_BUCKET = {"bucketId", "stage", "sector", "weight", "dollarAmount", "dealCount"}
OF_A_CONSTRAINT = {
    *("constraintId", "type", "required", "actual", "slack", "satisfied", "binding", "relaxedFrom", "tightenedTo"),
    "price",
}


def test_the_json_has_every_field_that_is_promised(answer: Any) -> None:
    result = answer
    assert result.keys() >= FIELDS
    assert all(entry.keys() >= OF_A_BUCKET for entry in result["allocation"])
    assert all(entry.keys() == OF_A_CONSTRAINT for entry in result["constraints"])
    assert all(seconds is not None for seconds in result["timings"].values())


def test_the_python_package_gives_the_answer_of_the_command(answer: Any) -> None:
    command = answer
    package = vcfolio_package.optimize(REQUEST, progress=False).to_dict()
    assert package["sessionId"] is None
    for same in command.keys() - {"sessionId", "timings", "solver"}:
        assert package[same] == command[same], same
    for same in ("objective", "bound", "gap", "work", "nodes", "tieBreak"):
        assert package["solver"][same] == command["solver"][same], same


def test_an_answer_by_the_distribution_is_that_of_the_package_and_adds_up(
    vcfolio: Vcfolio, write: Callable[..., str]
) -> None:
    """The default of requests, with few scenarios."""
    changes = {"expectations": None, "riskScenarios": 2000, "validationScenarios": 3000, "minExpectedWinners": 0.3}
    command = vcfolio.json("run", write(**changes), "--json")
    asked = {name: value for name, value in (REQUEST | changes).items() if value is not None}
    package = vcfolio_package.optimize(asked, progress=False).to_dict()
    for same in command.keys() - {"sessionId", "matrixCache", "timings", "solver"}:
        assert package[same] == command[same], same
    solver = command["solver"]
    assert (solver["expectations"]["source"], solver["riskScenarios"]) == ("distribution", 2000)
    assert solver["tightening"][-1]["expectedMoic"] == pytest.approx(command["expectedMoic"], abs=1e-12)
    assert solver["evenSectors"] == [["AI", "Health", "Media"]]
    moic = sum(entry["weight"] * entry["expectedMoic"] for entry in command["allocation"])
    assert command["expectedMoic"] == pytest.approx(moic, abs=1e-12)
    winners = sum(
        entry["weight"] * REQUEST["totalFundSize"] / entry["allInCostPerDeal"] * entry["winProbability"]
        for entry in command["allocation"]
    )
    assert command["expectedWinners"] == pytest.approx(winners, rel=1e-12)
    names = {other["name"] for other in command["validation"]["rivals"]}
    assert {"equal_weights", "greedy", "other_seed_1", "other_seed_2"} <= names
    gap = solver["trueGap"]
    assert (gap["lower"] is None) == (command["verdict"]["weights"]["status"] != "holds")
    assert gap["upper"] >= command["expectedMoic"] - 1e-12


def test_every_figure_is_found_again_by_other_code_from_the_simulated_matrix(
    vcfolio: Vcfolio, answer: Any, write: Callable[..., str], tmp_path: Path
) -> None:
    result = answer
    vcfolio.call("simulate", write(), "--out", str(tmp_path / "matrix.parquet"))
    matrix = recalculation.read_matrix(tmp_path / "matrix.parquet")
    assert pq.read_metadata(tmp_path / "matrix.parquet").metadata[b"vcfolio.matrix_key"].decode() == result["matrixKey"]
    recalculation.check_allocation(result, matrix, REQUEST)
    recalculation.check_constraints(result, matrix, REQUEST)
    recalculation.check_solver(result, matrix)
    recalculation.check_whole_deals(result, matrix, REQUEST)
    recalculation.check_bucket_stats(result, matrix)


def test_a_second_run_hits_the_matrix_cache_and_shows_the_same_allocation_to_the_bit(
    vcfolio: Vcfolio, answer: Any, write: Callable[..., str]
) -> None:
    first = answer
    shown, _ = vcfolio.call("run", write())
    (session_id,) = re.findall(r"vcfolio result (\S+) --json", shown)
    second = vcfolio.json("result", session_id, "--json")
    assert (second["sessionId"], second["matrixCache"]) == (session_id, "hit")
    for same in ("allocation", "constraints", "expectedMoic", "validation", "matrixKey"):
        assert json.dumps(first[same]) == json.dumps(second[same])
    for told in ("Seed_AI", "RELAXED from 40", "binding", "hit", "expected MOIC", "±", "recession", "equal weights"):
        assert told in shown
    assert vcfolio.json("result", first["sessionId"], "--json") == first
    assert vcfolio.json("status", session_id, "--json")["status"] == "COMPLETED"
    assert "COMPLETED" in vcfolio.call("status", session_id)[0]


def test_a_matrix_key_seeds_the_draws_and_nothing_else(
    vcfolio: Vcfolio, answer: Any, write: Callable[..., str], tmp_path: Path
) -> None:
    own_key = answer["matrixKey"]

    def simulate(name: str, *options: str) -> recalculation.Matrix:
        output, _ = vcfolio.call("simulate", write(), "--out", str(tmp_path / name), *options)
        assert "Buckets in 130 scenarios" in output
        assert "Seed_AI" in output
        return recalculation.read_matrix(tmp_path / name)

    own = simulate("own.parquet", "--matrix-key", own_key)
    other = simulate("other.parquet", "--matrix-key", "another")
    assert simulate("implied.parquet").rows == own.rows
    drawn = {"moic", "win_probability", "mean_moic", "standard_error", "median_moic", "p90_moic", "loss_share"}
    assert [row | dict.fromkeys(drawn) for row in other.rows] == [row | dict.fromkeys(drawn) for row in own.rows]
    assert all(one["moic"] != two["moic"] for one, two in zip(own.rows, other.rows, strict=True))


def test_a_failed_session_ends_with_exit_code_1_and_its_reason(vcfolio: Vcfolio, tmp_path: Path, answer: Any) -> None:
    impossible = write_request(tmp_path, {"relaxationMode": "off"})
    output, notes = vcfolio.call("run", impossible, "--json", code=1)
    assert output == ""
    assert "infeasible" in notes
    assert "no portfolio has at least 40 expected winners" in notes
    (session_id,) = re.findall(r"session ([0-9a-f-]{36}) failed", notes)
    status = vcfolio.json("status", session_id, "--json")
    assert (status["status"], status["errorCode"]) == ("FAILED", "infeasible")
    assert "FAILED" in vcfolio.call("result", session_id, code=2)[1]


def test_a_session_is_stressed_without_a_new_solve(vcfolio: Vcfolio, answer: Any) -> None:
    result = answer
    session = result["sessionId"]
    stressed = vcfolio.json("stress", session, "--stress", "recession=1.0", "--json")
    fresh, whole = result["validation"]["outOfSample"], result["validation"]["wholeDeals"]["outOfSample"]
    for name, judged in (("weights", fresh), ("wholeDeals", whole)):
        assert stressed[name]["byRegime"] == judged["byRegime"]
        (recession,) = [entry for entry in judged["byRegime"] if entry["regime"] == "recession"]
        assert stressed[name]["stressed"] == recession["figures"]
        assert stressed[name]["asSimulated"]["lossProbability"] == pytest.approx(judged["lossProbability"]["value"])
    shown, _ = vcfolio.call("stress", session, "--scenarios", "1000")
    for told in ("as simulated", "recession alone (probability 0.25)", "1,000 scenarios out of sample", "±"):
        assert told in shown
    assert "stressed:" not in shown


def test_a_stress_that_cannot_be_is_refused(vcfolio: Vcfolio, answer: Any) -> None:
    session = answer["sessionId"]
    output, notes = vcfolio.call("stress", session, "--stress", "slump=1", code=2)
    assert (output, "must name a regime of the session" in notes) == ("", True)


def test_an_unreachable_prefect_server_is_said_before_a_session_is_stored(
    vcfolio: Vcfolio, database: Engine, write: Callable[..., str]
) -> None:
    def stored() -> int:
        with transaction(database) as conn:
            return int(conn.scalar(text("SELECT count(*) FROM optimization_sessions")) or 0)

    before = stored()
    output, notes = vcfolio.call("run", write(), "--json", code=1, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert output == ""
    assert "PREFECT_API_URL" in notes
    assert "http://127.0.0.1:9/api" in notes
    assert stored() == before
