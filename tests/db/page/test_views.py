"""What the page says about a result: pure functions, on a real one and on what may be in others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from api.page import figures
from api.page.answer import (
    allocation_view,
    comparison_rows,
    headline,
    limit_rows,
    proof_lines,
    regimes_view,
    risk_view,
)
from api.page.constraints import constraint_report
from api.page.steps import progress_view
from core import formatting
from core.result.model import LimitStatus, RegimeFigures, Result
from core.result.wording import STATUS_WORDS, constraint_name, constraint_value
from core.session_states import SessionStatus
from db.engine import transaction
from db.funds import local_user_id
from db.results import session_result
from db.session_reads import SessionStatusView, session_status
from db.sessions import load_session
from tests.db.page.conftest import Told


@pytest.fixture
def relaxed(engine: Engine, told: Told) -> Result:
    with transaction(engine) as conn:
        return session_result(load_session(conn, told.relaxed))


@pytest.fixture
def completed(engine: Engine, told: Told) -> Result:
    with transaction(engine) as conn:
        return session_result(load_session(conn, told.completed))


def test_totals_by_stage_and_sector_are_those_of_the_buckets(completed: Result) -> None:
    view = allocation_view(completed.allocation)
    assert view.total.dollar_amount == 50_000_000
    for totals in (view.by_stage, view.by_sector):
        assert sum(total.weight for total in totals) == pytest.approx(1)
        assert sum(total.dollar_amount for total in totals) == pytest.approx(50_000_000)
        assert sum(total.deal_count for total in totals) == view.total.deal_count
    weights = [row.weight for row in view.rows]
    assert weights == sorted(weights, reverse=True)
    assert len(view.rows) + view.others == len(completed.allocation)


@pytest.mark.parametrize("status", get_args(LimitStatus))
def test_statuses_of_headline_limits_and_figures_are_those_of_the_verdict(
    completed: Result, status: LimitStatus
) -> None:
    limits = tuple(
        limit.model_copy(update={"status": status}) if limit.constraint_id == "cvar_max" else limit
        for limit in completed.verdict.limits
    )
    verdict = completed.verdict.model_copy(update={"status": status, "limits": limits, "notes": ("A note.",)})
    changed = completed.model_copy(update={"verdict": verdict})
    cvar = next(figure for figure in risk_view(changed, 0.95) if figure.name == "cvar")
    assert (cvar.status, cvar.word, cvar.limit) == (status, STATUS_WORDS[status], "at most 90%")
    told = headline(verdict)
    assert (told.status, told.word, told.sentence, told.notes) == (
        status,
        STATUS_WORDS[status],
        verdict.sentence,
        ("A note.",),
    )
    assert (cvar.sentence in told.open_limits) is (status != "holds")
    (row,) = [row for row in limit_rows(verdict) if row.name == "CVaR"]
    assert (row.status, row.word, row.asked, row.sentence) == (status, STATUS_WORDS[status], "90%", cvar.sentence)


def test_a_figure_without_a_limit_has_no_verdict(completed: Result) -> None:
    moic = next(figure for figure in risk_view(completed, 0.95) if figure.name == "expectedMoic")
    assert (moic.status, moic.word, moic.limit) == (None, "No limit", "-")


def test_what_was_relaxed_comes_first_with_both_bounds_and_the_reason(relaxed: Result) -> None:
    report = constraint_report(relaxed)
    first = report.rows[0]
    assert (first.name, first.state, first.word) == ("Expected winners", "relaxed", "Relaxed")
    assert first.asked == "40"
    assert first.enforced != first.asked
    assert first.explanation == relaxed.relaxations[0].explanation
    assert {row.constraint_id for row in report.rows} == {entry.constraint_id for entry in relaxed.constraints}
    priced = [row for row in report.rows if row.gain]
    assert len(priced) == sum(entry.price is not None for entry in relaxed.constraints)
    assert report.single_limit_repairs


def test_a_limit_that_is_not_met_is_said_to_be(completed: Result) -> None:
    first, *others = completed.constraints
    broken = (first.model_copy(update={"satisfied": False}), *others)
    assert constraint_report(completed.model_copy(update={"constraints": broken})).rows[0].word == "Not met"


def test_proof_comparisons_and_regimes_have_their_lines(completed: Result) -> None:
    assert "proven bound" in proof_lines(completed)[0]
    limited = completed.model_copy(update={"solver": completed.solver.model_copy(update={"status": "feasible"})})
    assert any("work limit was reached" in line for line in proof_lines(limited))
    rows = comparison_rows(completed.validation.comparison_portfolios)
    assert [row.name for row in rows][:2] == ["equal weights", "the greedy portfolio"]
    assert [row.name for row in rows][-2:] == ["this request under another seed", "this request under a third seed"]
    out_of_sample = completed.validation.out_of_sample
    assert {row.regime for row in regimes_view(out_of_sample)} == {"base", "boom", "recession"}
    never = RegimeFigures(regime="war", probability=0.0, figures=None)
    (row,) = regimes_view(out_of_sample.model_copy(update={"by_regime": (never,)}))
    assert (row.regime, row.scenarios, row.figures) == ("war", "0", ("-",) * 4)


def test_each_state_shows_its_steps(engine: Engine, told: Told) -> None:
    expected = {
        "requested": ["now", "next", "next", "next"],
        "simulating": ["done", "now", "next", "next"],
        "optimizing": ["done", "done", "now", "next"],
        "validating": ["done", "done", "done", "now"],
        "completed": ["done"] * 4,
        "cancelled": ["done", "stopped", "next", "next"],
        "failed": ["done", "stopped", "next", "next"],
    }
    now = datetime.now(UTC) + timedelta(minutes=3)
    for name, states in expected.items():
        view = progress_view(_seen(engine, getattr(told, name)), now)
        assert [step.state for step in view.steps] == states, name
        assert view.running is ("now" in states)
        assert bool(view.what_next) is ("stopped" in states)
    searching = progress_view(_seen(engine, told.optimizing), now)
    assert [value for _, value in searching.proof] == ["2.0000x", "2.1000x", "5.00%"]


def _seen(engine: Engine, session_id: Any) -> SessionStatusView:
    with transaction(engine) as conn:
        seen = session_status(conn, session_id, local_user_id(conn))
    assert seen is not None
    assert seen.status in SessionStatus
    return seen


@given(st.floats(0, 1e7))
def test_durations_never_show_sixty_seconds_or_minutes(seconds: float) -> None:
    said = figures.duration(seconds)
    assert " 60 " not in f" {said} "


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.percent(0.12345), "12.3%"),
        (formatting.percent(-0.00001), "0.0%"),
        (formatting.multiple(2.005), "2.00x"),
        (formatting.short_dollars(100_000_000), "$100M"),
        (formatting.short_dollars(1_250_000_000), "$1.25bn"),
        (formatting.dollars(-1234.5), "-$1,234"),
        (figures.duration(65), "1 min 05 s"),
        (figures.duration(3720), "1 h 02 min"),
        (figures.duration(None), "-"),
        (formatting.limit_percent(0.35), "35%"),
        (formatting.limit_percent(0.143333333333), "14.33%"),
        (constraint_name("sector_max_weight:Bio:tech"), "Maximum in Bio:tech"),
        (constraint_value("expected_winners_min", 1.728), "1.73"),
    ],
)
def test_numbers_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
