"""Options that cannot be are refused by name before anything is opened, in the test's own process."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest

from core.errors import BadInput
from deployments.cli.calibrate_command import SurvivalOptions, calibrate_fund
from deployments.cli.stress_command import parse_shares, stress

NOTHING = {
    "fund": "Example Fund",
    "version": "never",
    "method": "survival",
    "as_of": date(2020, 1, 1),
    "companies": None,
    "rounds": None,
    "mapping": None,
    "reference": None,
    "survival": SurvivalOptions(),
    "compare": False,
    "report": None,
}


@pytest.fixture(autouse=True)
def nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_arguments: object) -> None:
        raise AssertionError("a database was opened")

    for command in ("calibrate_command", "stress_command"):
        monkeypatch.setattr(f"deployments.cli.{command}.database", opened)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"method": "guess"}, "--method = 'guess': must be one of simple_cohort, survival, industry_benchmark"),
        (
            {"method": "simple_cohort", "survival": SurvivalOptions(prior_weight=5.0)},
            "--prior-weight = 5.0: must be left out: only survival, and --compare with it, reads this",
        ),
        ({"survival": SurvivalOptions(prior_weight=-1.0)}, "priorWeight = -1.0: must be 0 or more"),
        ({"survival": SurvivalOptions(dormant_after=-2.0)}, "dormantAfterMonths = -2.0: must be above 0"),
        ({"companies": Path("c.csv")}, "--rounds = None: must be given: files come all three"),
        ({"report": Path("nowhere/report.md")}, "must lie in a directory that exists"),
        ({"method": "industry_benchmark", "report": Path("report.md")}, "--report = 'report.md': must be left out"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(options: dict, named: str) -> None:
    with pytest.raises(BadInput) as refused:
        calibrate_fund(**{**NOTHING, **options})
    assert named in str(refused.value)


def test_silence_is_never_a_failure_with_a_limit_of_0_and_left_out_options_have_the_models_defaults() -> None:
    assert SurvivalOptions(dormant_after=0.0).terms().dormant_after_months is None
    assert SurvivalOptions().terms().dormant_after_months == 48.0
    assert SurvivalOptions(round_months=12.0, horizon_months=60.0).terms().round_months == 12.0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["recession"], "--stress = 'recession': must be REGIME=SHARE"),
        (["=1"], "--stress = '=1': must be REGIME=SHARE"),
        (["boom=much"], "--stress = 'boom=much': must be REGIME=SHARE"),
        (["boom=0.2", "boom=0.3"], "--stress = 'boom=0.3': names boom a second time"),
    ],
)
def test_shares_that_are_none_are_refused(settings: list[str], named: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_shares(settings)
    assert named in str(refused.value)


def test_shares_are_read() -> None:
    assert parse_shares(["recession=1.0", "a=b=.5"]) == {"recession": 1.0, "a=b": 0.5}


def test_too_few_scenarios_are_refused() -> None:
    with pytest.raises(BadInput, match="--scenarios = 7: must be 100 to 1,000,000"):
        stress(uuid4(), [], 7, as_json=False)
