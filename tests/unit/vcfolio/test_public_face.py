"""`import vcfolio`: requests from files and mappings, calibrations, results as frames and HTML, errors by name."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

import vcfolio
from core import pipeline
from core.errors import Infeasible
from core.matrix.key import simulation_inputs
from core.request import parse_request
from core.request.normalize import normalize
from core.result.model import Result as ResultDocument
from core.simulation.block_ranges import block_ranges_of
from core.simulation.models import model_of
from db.reference_calibrations import reference_calibration

FUND = "00000000-0000-4000-8000-000000000001"
SMALL: dict[str, Any] = {
    "fundId": FUND,
    "totalFundSize": 100_000_000,
    "maxLossProbability": 0.5,
    "cvarLimit": 0.8,
    "minExpectedWinners": 0.1,
    "bucketMaxWeight": 0.5,
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "SaaS"]},
    "scenarioGenConfig": {"scenarioCount": 60},
    "validationScenarios": 500,
}


@pytest.fixture(scope="module")
def result() -> vcfolio.Result:
    return vcfolio.optimize(SMALL, progress=False)


def test_the_package_needs_no_database_driver_and_no_prefect() -> None:
    code = (
        "import sys, vcfolio\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'prefect', 'sqlalchemy', 'psycopg', 'alembic', 'tasks', 'flows', 'deployments'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_file_a_mapping_and_a_parsed_request_give_the_same_result(tmp_path: Path, result: vcfolio.Result) -> None:
    file = tmp_path / "fund.json"
    file.write_text(json.dumps(SMALL))
    for source in (file, str(file), vcfolio.Request.model_validate(SMALL)):
        again = vcfolio.optimize(source, progress=False)
        assert _without_times(again) == _without_times(result)


def _without_times(result: vcfolio.Result) -> dict[str, Any]:
    document = result.to_dict()
    solver = {name: value for name, value in document["solver"].items() if not name.endswith("Seconds")}
    return document | {"timings": None, "solver": solver}


def test_a_request_without_a_fund_is_the_nil_uuids() -> None:
    without = {name: value for name, value in SMALL.items() if name != "fundId"}
    prepared = vcfolio.prepare(without)
    assert prepared.config.fund_id == UUID(int=0) == vcfolio.NIL_FUND
    named = vcfolio.prepare(SMALL | {"fundId": str(UUID(int=0))})
    assert prepared.matrix_key == named.matrix_key
    assert prepared.matrix_key != vcfolio.prepare(SMALL).matrix_key


def test_the_matrix_is_the_one_of_the_canonical_key() -> None:
    prepared = normalize(parse_request(SMALL), reference_calibration())
    expected = model_of(prepared.config.sim_model_version).generate(simulation_inputs(prepared.key_document))
    matrix = vcfolio.simulate(SMALL, progress=False)
    assert matrix.bucket_keys == expected.bucket_keys
    assert matrix.moic.tobytes() == expected.moic.tobytes()


def test_a_large_matrix_made_in_block_ranges_has_the_bytes_of_one_made_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "block_ranges_of", partial(block_ranges_of, draws_per_range=1))
    large = SMALL | {"scenarioGenConfig": {"scenarioCount": 1_500}}
    prepared = vcfolio.prepare(large)
    told: list[str] = []
    matrix = vcfolio.simulate(large, progress=lambda _stage, step: told.append(step))
    assert told[-1] == "2 of 2 block ranges"
    expected = model_of(prepared.config.sim_model_version).generate(simulation_inputs(prepared.key_document))
    assert matrix.moic.tobytes() == expected.moic.tobytes()


def test_the_allocation_is_a_frame_that_adds_up(result: vcfolio.Result) -> None:
    frame = result.allocation
    assert isinstance(frame, pl.DataFrame)
    assert frame["weight"].sum() == pytest.approx(1.0, abs=1e-12)
    assert round(frame["dollarAmount"].sum() * 100) == 100_000_000 * 100
    assert frame["weight"].to_list() == sorted(frame["weight"].to_list(), reverse=True)
    assert dict(zip(frame["bucketId"], frame["weight"], strict=True)) == result.weights
    assert result.limits["constraintId"].to_list() == [limit.constraint_id for limit in result.verdict.limits]


def test_the_document_survives_json(result: vcfolio.Result) -> None:
    assert ResultDocument.model_validate_json(result.to_json()) == result.document
    assert result.document.session_id is None
    assert result.document.schema_version == 2


def test_html_says_the_verdict_and_what_to_buy_and_escapes_names() -> None:
    sectors = ["<b>AI</b>", "SaaS"]
    html = vcfolio.optimize(SMALL | {"buckets": {"stages": ["Seed"], "sectors": sectors}}, progress=False)._repr_html_()
    assert "<b>AI</b>" not in html
    assert "&lt;b&gt;AI&lt;/b&gt;" in html
    assert html.index("What to buy") < html.index("<table>")


def test_progress_is_told_stage_by_stage() -> None:
    told: list[tuple[str, str]] = []
    vcfolio.optimize(SMALL, progress=lambda stage, step: told.append((stage, step)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["matrix", "optimize", "validate"]
    assert ("optimize", "primary solve") in told


def test_a_calibration_may_be_a_version_a_file_or_an_object(tmp_path: Path) -> None:
    snapshot = vcfolio.shipped_calibrations()["us_venture_2004_2013_v2"]
    file = tmp_path / "mine.json"
    file.write_text(snapshot.model_dump_json())
    keys = {
        vcfolio.prepare(SMALL, calibration=source).matrix_key
        for source in (None, "us_venture_2004_2013_v2", snapshot, file, str(file))
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("source", "calibration", "field", "rule"),
    [
        ("missing.json", None, "request", "cannot be read"),
        ({"totalFundSize": 1}, None, "maxLossProbability", "is required"),
        (SMALL | {"calibrationVersion": "mine"}, None, "calibrationVersion", "must be a shipped calibration"),
        (SMALL, "missing.toml", "calibration", "it is no shipped calibration"),
    ],
)
def test_bad_input_names_field_and_rule(
    source: Any, calibration: str | None, field: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vcfolio.BadInput) as raised:
        vcfolio.optimize(source, calibration=calibration, progress=False)
    assert any(one.field == field and rule in one.rule for one in raised.value.problems)


@pytest.mark.parametrize(
    ("text", "rule"), [("not = [toml", "neither TOML nor JSON"), ('version = "x"', "is required"), ("\xff", "UTF-8")]
)
def test_a_file_that_is_no_calibration_is_refused(text: str, rule: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(vcfolio.BadInput, match=rule):
        vcfolio.prepare(SMALL, calibration=file)


def test_limits_in_conflict_raise_where_relaxation_is_off() -> None:
    asked = SMALL | {"minExpectedWinners": 500, "relaxationMode": "off"}
    with pytest.raises(Infeasible):
        vcfolio.optimize(asked, progress=False)


def test_a_portfolio_of_ones_own_is_judged_as_the_answer_is(result: vcfolio.Result) -> None:
    judged = vcfolio.validate(SMALL, result.weights, progress=False)
    assert judged.validation.out_of_sample == result.document.validation.out_of_sample
    assert judged.verdict.limits == result.verdict.limits
    assert judged.verdict.status == result.verdict.status
    assert np.isclose(judged.allocation["weight"].sum(), 1.0)


@pytest.mark.parametrize(
    ("weights", "field"),
    [({"Seed_Nope": 1.0}, "weights.Seed_Nope"), ({"Seed_AI": 0.5}, "weights"), ({"Seed_AI": 1.5}, "weights.Seed_AI")],
)
def test_weights_that_are_no_portfolio_are_refused(weights: dict[str, float], field: str) -> None:
    with pytest.raises(vcfolio.BadInput) as raised:
        vcfolio.validate(SMALL, weights, progress=False)
    assert raised.value.problems[0].field == field
