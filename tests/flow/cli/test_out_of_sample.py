"""`vcfolio out-of-sample`: the same answer on whatever task runner, and wrong input named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.command_line import Vcfolio, refusal

pytestmark = pytest.mark.xdist_group("cli")

SCENARIOS = ("--scenarios", "130000")
"""More than one part of this session's work."""


@pytest.fixture(scope="module")
def session_id(answer: Any) -> str:
    return str(answer["sessionId"])


def _document(vcfolio: Vcfolio, session_id: str, runner: str) -> str:
    output, notes = vcfolio.call(
        "out-of-sample", session_id, *SCENARIOS, "--json", VCFOLIO_TASK_RUNNER=runner, VCFOLIO_TASK_WORKERS="2"
    )
    assert "Traceback" not in notes
    return output


@pytest.fixture(scope="module")
def threads(vcfolio: Vcfolio, database: object, session_id: str) -> str:
    return _document(vcfolio, session_id, "threads")


@pytest.mark.parametrize("runner", ["processes", "dask"])
def test_every_task_runner_gives_the_same_bytes(vcfolio: Vcfolio, session_id: str, threads: str, runner: str) -> None:
    if runner == "dask":
        pytest.importorskip("prefect_dask")

    assert _document(vcfolio, session_id, runner) == threads


def test_so_many_scenarios_know_the_figures_better_than_the_validation(answer: Any, threads: str) -> None:
    large, validation = json.loads(threads), answer["validation"]

    assert large["scenarios"] == 130_000
    for found, validated in (
        (large["weights"], validation["outOfSample"]),
        (large["wholeDeals"], validation["wholeDeals"]["outOfSample"]),
    ):
        moic = found["expectedMoic"]
        assert moic["low"] < moic["value"] < moic["high"]
        # 260 times the scenarios.
        assert moic["standardError"] < validated["expectedMoic"]["standardError"] / 10
        assert abs(moic["value"] - validated["expectedMoic"]["value"]) < 5 * validated["expectedMoic"]["standardError"]
        assert sum(entry["figures"]["scenarios"] for entry in found["byRegime"]) == 130_000


def test_the_tables_show_every_figure_with_its_interval(vcfolio: Vcfolio, session_id: str) -> None:
    output, _ = vcfolio.call("out-of-sample", session_id, "--scenarios", "1000")

    assert "1,000 scenarios that the portfolio was not chosen on (out of sample)" in output
    for words in ("expected MOIC", "loss probability", "CVaR", "expected winners", "recession", "Optimism gap"):
        assert words in output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["none"], ["SESSION_ID", "'none'", "must be a UUID"]),
        (["00000000-0000-4000-8000-00000000dead"], ["00000000-0000-4000-8000-00000000dead"]),
    ],
)
def test_a_session_that_does_not_exist_is_refused(vcfolio: Vcfolio, arguments: list[str], named: list[str]) -> None:
    notes = refusal(vcfolio, "out-of-sample", *arguments)

    assert [word for word in named if word not in notes] == []


def test_too_few_scenarios_are_refused(vcfolio: Vcfolio, session_id: str) -> None:
    assert "scenarios = 7: must be 1,000 to 100,000,000" in refusal(
        vcfolio, "out-of-sample", session_id, "--scenarios", "7"
    )


def test_a_task_runner_that_does_not_exist_is_refused(
    vcfolio: Vcfolio, session_id: str, write: Callable[..., str]
) -> None:
    output, notes = vcfolio.call("out-of-sample", session_id, code=2, VCFOLIO_TASK_RUNNER="ray")

    assert output == ""
    assert "VCFOLIO_TASK_RUNNER = 'ray'" in notes
