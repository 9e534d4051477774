"""`vcfolio explain-scenario` and `realism`: what is shown adds up, and wrong input is named."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from core.external_validation.published import PUBLISHED_DEALS
from tests.command_line import Vcfolio, refusal
from tests.flow.cli import recalculation

pytestmark = pytest.mark.xdist_group("cli")

ENTRY = ("--bucket", "Seed_AI", "--scenario", "17")


def test_the_explanation_of_an_entry_adds_up_to_what_simulate_writes(
    vcfolio: Vcfolio, answer: Any, write: Callable[..., str], tmp_path: Path
) -> None:
    explanation = vcfolio.json("explain-scenario", write(), *ENTRY, "--json")
    vcfolio.call("simulate", write(), "--out", str(tmp_path / "matrix.parquet"))
    matrix = recalculation.read_matrix(tmp_path / "matrix.parquet")

    (row,) = [row for row in matrix.rows if row["key"] == "Seed_AI"]

    assert explanation["matrixKey"] == answer["matrixKey"]
    assert explanation["addsUp"]
    assert explanation["matrixEntry"] == explanation["entry"] == row["moic"][17]
    assert len(explanation["companies"]) == 10
    weights = [company["weight"] for company in explanation["companies"]]
    mean = math.fsum(c["weight"] * c["moic"] for c in explanation["companies"]) / math.fsum(weights)
    assert float(np.float32(mean)) == pytest.approx(explanation["entry"], rel=1e-6)


def test_the_explanation_has_one_row_a_company(vcfolio: Vcfolio, write: Callable[..., str]) -> None:
    output, _ = vcfolio.call("explain-scenario", write(), *ENTRY)

    assert "Seed_AI in scenario 17 of matrix matrix_v1.2_" in output
    assert re.search(r"Regime (base|boom|recession): shock [+-]0\.\d{4}", output)
    assert [f"│ {number:>2} │" in output for number in range(1, 11)].count(True) == 10
    assert "the same to the last bit" in output


@pytest.mark.parametrize(
    ("entry", "changes", "named"),
    [
        (
            ("--bucket", "Seed_Space", "--scenario", "0"),
            {},
            ["bucket", "Seed_Space", "must be a bucket of the request"],
        ),
        (("--bucket", "Seed_AI", "--scenario", "130"), {}, ["scenario = 130", "must be 0 to 129"]),
        (("--bucket", "Seed_AI", "--scenario", "-1"), {}, ["scenario = -1", "must be 0 to 129"]),
        (
            ENTRY,
            {"modelVersion": "three_component_v1", "calibrationVersion": "us_venture_2004_2013"},
            ["modelVersion", "three_component_v1", "only three_component_v2 can be explained"],
        ),
    ],
    ids=["unknown bucket", "beyond the last scenario", "before the first", "a model without companies"],
)
def test_an_entry_that_does_not_exist_is_refused(
    vcfolio: Vcfolio, write: Callable[..., str], entry: tuple[str, ...], changes: dict[str, str], named: list[str]
) -> None:
    notes = refusal(vcfolio, "explain-scenario", write(**changes), *entry)

    assert [word for word in named if word not in notes] == []


def test_realism_sets_every_published_range_beside_a_simulated_one_and_draws_it(
    vcfolio: Vcfolio, tmp_path: Path
) -> None:
    chart = tmp_path / "realism.svg"

    output, notes = vcfolio.call("realism", "--json", "--chart", str(chart))

    found = json.loads(output)
    assert [deal["published"] for deal in found["deals"]] == [each.share for each in PUBLISHED_DEALS]
    assert sum(deal["simulated"] for deal in found["deals"]) == pytest.approx(1.0)
    assert str(chart) in notes
    words = "".join(ET.parse(chart).getroot().itertext())
    assert "Simulated deals and funds of three_component_v2 beside published ones" in words


def test_realism_as_tables_says_its_sources_and_its_caveat(vcfolio: Vcfolio) -> None:
    output, _ = vcfolio.call("realism", "--model", "three_component_v1")

    assert "Deals: three_component_v1" in output
    assert "Correlation Ventures" in output
    assert "conflict in level" in output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model", "guess"], ["--model", "'guess'", "must be one of three_component_v1, three_component_v2"]),
        (["--chart", "realism.jpeg"], ["--chart", "realism.jpeg", "must end with .svg or .png"]),
        (["--chart", "nowhere/realism.svg"], ["--chart", "nowhere/realism.svg", "a directory that exists"]),
    ],
)
def test_realism_that_cannot_be_is_refused(vcfolio: Vcfolio, options: list[str], named: list[str]) -> None:
    notes = refusal(vcfolio, "realism", *options)

    assert [word for word in named if word not in notes] == []
