"""One verdict on every surface: the example, with a tenth of its fund, with $100, and as version 0.1 stored it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from html import unescape
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

import vcfolio
from api.page import answer, comparison
from api.page.session_pages import answered
from api.page.steps import progress_view
from api.rendering import environment
from core.portfolio.problem import is_minimum
from core.result.model import Result
from core.result.wording import CONSTRAINT_NAMES, FIGURES, STATUS_WORDS, constraint_name
from db.results import session_result
from db.session_reads import SessionStatusView, SessionSummary
from db.session_rows import SessionRow
from db.tables.owners import FundRole
from deployments.cli.result_view import render_result
from flows.artifact_texts import constraints_markdown, risk_markdown, verdict_markdown
from tests.unit.result.documents import BEGAN, STORED, optimized_session, stored_session

REQUESTS: dict[str, Callable[[], SessionRow]] = {
    "as it is": lambda: optimized_session({}),
    "10,000,000": lambda: optimized_session({"totalFundSize": 10_000_000}),
    "100": lambda: optimized_session({"totalFundSize": 100}),
    **{f"stored {name}": (lambda name=name: stored_session(name)) for name in STORED},
}


@dataclass(frozen=True)
class Case:
    session: SessionRow
    result: Result
    surfaces: Mapping[str, str]


@cache
def case(name: str) -> Case:
    session = REQUESTS[name]()
    result = session_result(session)
    return Case(session, result, {surface: show(session, result) for surface, show in SURFACES.items()})


@pytest.fixture(params=REQUESTS)
def shown(request: pytest.FixtureRequest) -> Case:
    return case(request.param)


# --- the surfaces -------------------------------------------------------------------------------------------------


def stored_fields(session: SessionRow, of: Any) -> dict[str, Any]:
    return {field.name: getattr(session, field.name) for field in fields(of) if hasattr(session, field.name)}


def view_of(session: SessionRow) -> SessionStatusView:
    own = {
        field.name: getattr(session, field.name) for field in fields(SessionStatusView) if hasattr(session, field.name)
    }
    return SessionStatusView(
        **own, fund_name="Example Fund", role=FundRole.OWNER, created_by_name="local", queue_position=None
    )


def summary_of(session: SessionRow, result: Result) -> SessionSummary:
    """As the list's query reads it: the verdict as stored."""
    assert session.validation_metrics is not None
    return SessionSummary(
        **stored_fields(session, SessionSummary),
        fund_name="Example Fund",
        created_by_name="local",
        expected_moic=result.expected_moic,
        loss_probability=result.loss_probability,
        cvar=result.cvar,
        expected_winners=result.expected_winners,
        relaxed=bool(result.relaxations),
        verdict=session.validation_metrics.get("verdict", {}).get("status"),
    )


def rendered(template: str, session: SessionRow, **context: Any) -> str:
    seen = view_of(session)
    return environment.get_template(template).render(
        path="/",
        principal=None,
        csrf=None,
        session=seen,
        progress=progress_view(seen, BEGAN),
        may_change=True,
        **context,
    )


def page(session: SessionRow, result: Result) -> str:
    return rendered("result.html", session, **answered(session), multiples_rows=(), request_json="")


def report(session: SessionRow, result: Result) -> str:
    return rendered("report.html", session, **answered(session), multiples_rows=(), request_json="", config_json="")


def compared(session: SessionRow, result: Result) -> str:
    return rendered(
        "compare.html",
        session,
        sessions=[view_of(session)] * 2,
        completed=True,
        verdicts=[answer.headline(result.verdict)] * 2,
        asked=comparison.request_differences(session.request, session.request),
        figures=comparison.figure_differences(result, result),
        weights=comparison.weight_differences(result, result),
        constraints=comparison.constraint_differences(result, result),
    )


def listed(session: SessionRow, result: Result) -> str:
    table = '{% from "macros.html" import session_table %}{{ session_table(sessions, true, false) }}'
    return environment.from_string(table).render(sessions=[summary_of(session, result)])


def terminal(session: SessionRow, result: Result) -> str:
    text = StringIO()
    render_result(result, Console(file=text, width=250))
    return text.getvalue()


def artifacts(session: SessionRow, result: Result) -> str:
    return "\n\n".join(show(result) for show in (verdict_markdown, constraints_markdown, risk_markdown))


SURFACES: dict[str, Callable[[SessionRow, Result], str]] = {
    "page": page,
    "report": report,
    "compare": compared,
    "list": listed,
    "terminal": terminal,
    "artifacts": artifacts,
    "json": lambda _session, result: json.dumps(result.as_json()),
    "notebook": lambda _session, result: vcfolio.Result(result)._repr_html_(),
}


# --- what they may say ---------------------------------------------------------------------------------------------


def broken_by_the_deals(result: Result) -> set[str]:
    """Limits as asked that the deals bought break, recomputed from the allocation and the figures out of sample."""
    fund = sum(one.dollar_amount for one in result.allocation)
    cost = {one.bucket_id: one.deal_count * one.all_in_cost_per_deal / fund for one in result.allocation}
    found = result.validation.whole_deals.out_of_sample
    figures = {
        "p_loss_max": found.loss_probability.value,
        "cvar_max": found.cvar.value,
        "expected_winners_min": found.expected_winners.value,
        "bucket_max_weight": max(cost.values()),
    }
    broken = set()
    for limit in result.constraints:
        kind, _, name = limit.constraint_id.partition(":")
        inside = sum(cost[one.bucket_id] for one in result.allocation if name in (one.stage, one.sector))
        figure = figures.get(kind, inside)
        if (limit.asked - figure if is_minimum(limit.type) else figure - limit.asked) > 1e-6:
            broken.add(limit.constraint_id)
    return broken


def lines_about(text: str, constraint_id: str) -> list[str]:
    """Rows and lines whose first words name the limit or its figure."""
    figure = [figure.label for figure in FIGURES if figure.constraint == constraint_id]
    names = [re.escape(name) for name in (constraint_name(constraint_id), *figure)]
    rows = re.split(r"<tr|</tr>|<div|</div>|<li>|</li>|\n", text) if "<" in text else text.splitlines()
    plain = [unescape(re.sub(r"<[^>]*>", " ", f"<{row}" if row.startswith(" class") else row)).strip() for row in rows]
    return [line for line in plain if re.match(rf"[│| *>-]*({'|'.join(names)})\b", line, re.IGNORECASE)]


HOLDS = re.compile(r"\bholds\b(?!\?)|\bkept\b|\bkeeps the limit\b|✓", re.IGNORECASE)


def test_no_surface_says_that_a_limit_holds_which_the_deals_bought_break(shown: Case) -> None:
    broken = broken_by_the_deals(shown.result)
    judged = {limit.constraint_id: limit.status for limit in shown.result.verdict.limits}
    assert [name for name in broken if judged[name] == "holds"] == []
    for surface, text in shown.surfaces.items():
        told = [line for name in broken for line in lines_about(text, name) if HOLDS.search(line)]
        assert told == [], surface
        if broken or shown.result.verdict.status != "holds":
            assert not re.search(r"every limit (holds|is kept)", text, re.IGNORECASE), surface


def test_the_example_breaks_limits_once_it_is_bought_and_small_funds_do_worse() -> None:
    """Else the test above had nothing to find."""
    assert {"cvar_max", "stage_max_weight:C"} <= broken_by_the_deals(case("as it is").result)
    assert "expected_winners_min" in broken_by_the_deals(case("10,000,000").result)
    for surface in ("page", "report", "terminal", "artifacts"):
        assert len(lines_about(case("as it is").surfaces[surface], "cvar_max")) >= 2, surface
    nothing = case("100")
    assert nothing.result.verdict.sentence.startswith("The fund buys no deal at all: it has $100")
    for surface in ("page", "report", "terminal", "artifacts", "compare", "json", "notebook"):
        assert "The fund buys no deal at all" in nothing.surfaces[surface], surface


def test_the_verdict_stands_first(shown: Case) -> None:
    verdict = shown.result.verdict
    word = STATUS_WORDS[verdict.status]
    assert shown.surfaces["terminal"].startswith(f"{word.upper()}. {verdict.sentence}")
    assert re.match(rf"## . {word}\n\n{re.escape(verdict.sentence)}\n", shown.surfaces["artifacts"])
    assert list(json.loads(shown.surfaces["json"]))[:2] == ["schemaVersion", "verdict"]
    assert unescape(shown.surfaces["notebook"]).find(verdict.sentence) < shown.surfaces["notebook"].find("What to buy")
    for surface, after in (
        ("page", "What to buy"),
        ("report", "What to buy"),
        ("compare", "What was asked differently"),
    ):
        text = unescape(shown.surfaces[surface])
        assert 0 < text.find(word) < text.find(verdict.sentence) < text.find(after), surface
    row = shown.surfaces["list"].partition("<tbody>")[2]
    if shown.result.schema_version > 1:
        said = {"holds": "hold", "within_error": "too close", "broken": "broken"}[verdict.status]
        assert 0 < row.find(f"</span> {said}") < row.find('<td class="n">')


def test_what_readers_see_is_in_the_fields_words(shown: Case) -> None:
    forbidden = rf"\b(fresh|worlds?|rivals?|gave way|gives? way)\b|{'|'.join(CONSTRAINT_NAMES)}"
    for surface in ("page", "report", "compare", "list", "terminal", "artifacts", "notebook"):
        text = unescape(shown.surfaces[surface])
        # What is code, and what names a version or a bucket, is spelled as it is.
        text = text.replace(shown.result.matrix_key, "")
        text = re.sub(r"<(pre|code|h1)[^>]*>.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
        assert not re.search(forbidden, text, re.IGNORECASE), surface
        versions = (shown.result.calibration_version, shown.result.model_version)
        found = set(re.findall(r"\b[a-z]+_[a-z0-9_]+\b", text)) - set(versions)
        assert found == set(), surface
        assert not re.search(r"\d\.\d{7}", text), surface
    if any(limit.constraint_id == "cvar_max" and limit.status != "holds" for limit in shown.result.verdict.limits):
        for surface in ("page", "report", "terminal", "artifacts"):
            assert "average loss in the worst 5%" in shown.surfaces[surface], surface
