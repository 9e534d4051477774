"""What the page says about a result: pure functions, on a real one and on what may be in others."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from api.page import figures
from api.page.answer import allocation_view, headline, proof_lines, regimes_view, risk_view, rivals_view
from api.page.constraints import constraint_report
from api.page.steps import progress_view
from core.session_states import SessionStatus
from db.engine import transaction
from db.funds import local_user_id
from db.results import session_result
from db.session_reads import SessionStatusView, session_status
from db.sessions import load_session
from tests.db.page.conftest import Told

Document = dict[str, Any]


@pytest.fixture
def relaxed(engine: Engine, told: Told) -> Document:
    with transaction(engine) as conn:
        return session_result(load_session(conn, told.relaxed))


@pytest.fixture
def completed(engine: Engine, told: Told) -> Document:
    with transaction(engine) as conn:
        return session_result(load_session(conn, told.completed))


def test_totals_by_stage_and_sector_are_those_of_the_buckets(completed: Document) -> None:
    view = allocation_view(completed["allocation"])
    assert view.total.dollar_amount == 50_000_000
    for totals in (view.by_stage, view.by_sector):
        assert sum(total.weight for total in totals) == pytest.approx(1)
        assert sum(total.dollar_amount for total in totals) == pytest.approx(50_000_000)
        assert sum(total.deal_count for total in totals) == view.total.deal_count
    weights = [row.weight for row in view.rows]
    assert weights == sorted(weights, reverse=True)
    assert len(view.rows) + view.others == len(completed["allocation"])


@pytest.mark.parametrize(
    ("holds", "verdict", "word"),
    [("yes", "good", "Holds"), ("no", "bad", "Does not hold"), ("within_error", "unsure", "Too close to tell")],
)
def test_a_figures_verdict_is_what_fresh_scenarios_say(
    completed: Document, holds: str, verdict: str, word: str
) -> None:
    changed = copy.deepcopy(completed)
    changed["validation"]["outOfSample"]["cvar"] |= {"holdsOutOfSample": holds, "scenariosToSettle": 1234}
    cvar = next(figure for figure in risk_view(changed) if figure.name == "cvar")
    assert (cvar.verdict, cvar.verdict_word) == (verdict, word)
    assert ("1,234" in cvar.sentence) is (holds == "within_error")
    assert cvar.limit == "at most 90.0%"


def test_the_headline_is_no_better_than_the_worst_figure(completed: Document, relaxed: Document) -> None:
    good = copy.deepcopy(completed)
    fresh = good["validation"]["outOfSample"]
    for name in ("lossProbability", "cvar", "expectedWinners"):
        fresh[name]["holdsOutOfSample"] = "yes"
    fresh["expectedMoic"]["low"] = 1.5
    good["validation"]["rivals"] = []
    assert headline(good).verdict == "good"
    assert headline(good).reasons == (
        "Every limit holds, as asked, in scenarios that the portfolio was not chosen on.",
    )
    outdone = copy.deepcopy(good)
    outdone["validation"]["rivals"] = [
        {"name": "equal_weights", "feasible": True, "withinNoise": False, "difference": -0.25, "standardError": 0.01}
    ]
    assert headline(outdone).verdict == "unsure"
    assert "equal weights, by 0.250x" in headline(outdone).reasons[0]
    unsure = copy.deepcopy(good)
    unsure["validation"]["outOfSample"]["cvar"]["holdsOutOfSample"] = "within_error"
    assert headline(unsure).verdict == "unsure"
    bad = copy.deepcopy(unsure)
    bad["validation"]["outOfSample"]["lossProbability"]["holdsOutOfSample"] = "no"
    assert headline(bad).verdict == "bad"
    assert headline(relaxed).verdict != "good"
    assert "1 limit had to give way" in headline(relaxed).reasons[0]


def test_what_gave_way_comes_first_with_both_bounds_and_the_reason(relaxed: Document) -> None:
    report = constraint_report(relaxed)
    first = report.rows[0]
    assert (first.name, first.state, first.word) == ("Expected winners", "relaxed", "Gave way")
    assert first.asked == "40.00"
    assert first.enforced != first.asked
    assert first.explanation == relaxed["relaxations"][0]["explanation"]
    assert {row.constraint_id for row in report.rows} == {entry["constraintId"] for entry in relaxed["constraints"]}
    priced = [row for row in report.rows if row.gain]
    assert len(priced) == sum(entry["price"] is not None for entry in relaxed["constraints"])
    assert report.single_limit_repairs


def test_a_limit_that_is_not_met_is_said_to_be(completed: Document) -> None:
    changed = copy.deepcopy(completed)
    changed["constraints"][0]["satisfied"] = False
    assert constraint_report(changed).rows[0].word == "Not met"


def test_proof_rivals_and_regimes_have_their_lines(completed: Document) -> None:
    assert "proven bound" in proof_lines(completed)[0]
    limited = copy.deepcopy(completed)
    limited["solver"]["status"] = "feasible"
    assert any("work limit struck" in line for line in proof_lines(limited))
    assert [row.name for row in rivals_view(completed["validation"])] == [
        "equal weights",
        "filling the best buckets first",
    ]
    regimes = regimes_view(completed["validation"]["outOfSample"])
    assert {row.regime for row in regimes} == {"base", "boom", "recession"}
    never = {"byRegime": [{"regime": "war", "probability": 0.0, "figures": None}]}
    assert regimes_view(never)[0].figures == ("-",) * 4


def test_steps_of_each_state(engine: Engine, told: Told) -> None:
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
def test_durations_are_never_sixty_of_anything(seconds: float) -> None:
    said = figures.duration(seconds)
    assert " 60 " not in f" {said} "


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (figures.percent(0.12345), "12.3%"),
        (figures.percent(-0.00001), "0.0%"),
        (figures.multiple(2.005), "2.00x"),
        (figures.short_dollars(100_000_000), "$100m"),
        (figures.short_dollars(1_250_000_000), "$1.25bn"),
        (figures.dollars(-1234.5), "-$1,234"),
        (figures.duration(65), "1 min 05 s"),
        (figures.duration(3720), "1 h 02 min"),
        (figures.duration(None), "-"),
        (figures.constraint_name("sector_max_weight:Bio:tech"), "Bio:tech: at most in sector"),
        (figures.constraint_value("expected_winners_min", 1.728), "1.73"),
    ],
)
def test_numbers_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
