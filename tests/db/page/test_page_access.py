"""Every route of the page for everybody. A route that is added without a row here fails the last test of this file."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api.app import create_app
from db.funds import EXAMPLE_FUND_ID
from db.settings import Settings
from tests.db.api.serving import routes_of
from tests.db.page.conftest import Told
from tests.db.page.visiting import Site

VARY = "cvarLimit=0.5,0.9"


@dataclass(frozen=True)
class Row:
    """The status that each gets. Nobody is led to the login (303). vera is the fund's viewer, sten a stranger."""

    method: str
    path: str
    vera: int
    local: int
    sten: int
    values: str = ""


ROWS = [
    Row("GET", "/", 200, 200, 200),
    Row("GET", "/funds/{fund_id}", 200, 200, 404),
    Row("GET", "/funds/{fund_id}/request", 403, 200, 404),
    Row("POST", "/funds/{fund_id}/request", 403, 422, 404),
    Row("POST", "/funds/{fund_id}/request/check", 403, 200, 404),
    Row("GET", "/sessions/{session_id}", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/progress", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/report", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/charts/{name}.svg", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/download/{kind}", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/frontier", 200, 200, 404),
    Row("GET", "/sessions/{session_id}/frontier.svg", 404, 404, 404, f"?vary={VARY}"),  # nobody has asked for it
    Row("POST", "/sessions/{session_id}/frontier", 403, 303, 404),
    Row("POST", "/sessions/{session_id}/cancel", 403, 303, 404),
    Row("POST", "/sessions/{session_id}/retry", 403, 303, 404),
    Row("GET", "/compare", 200, 200, 404, "?a={session_id}&b={session_id}"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_each_route_answers_each_visitor_as_the_table_says(site: Site, told: Told, row: Row) -> None:
    path = (row.path + row.values).format(
        fund_id=EXAMPLE_FUND_ID, session_id=told.completed, name="treemap", kind="csv"
    )
    nobody = site.browser().request(row.method, path, data={} if row.method == "POST" else None)
    assert (nobody.status_code, nobody.headers["location"]) == (303, "/login")
    for user in ("sten", "vera", "local"):
        browser = site.logged_in(user)
        sent = {"csrf_token": site.served.csrf_token(browser), "vary": VARY}
        answer = browser.request(row.method, path, data=sent if row.method == "POST" else None)
        assert answer.status_code == getattr(row, user), (user, answer.text)
        if row.method == "POST":
            forged = browser.request(row.method, path, data={"vary": VARY})
            assert forged.status_code == 403


def test_every_route_of_the_page_has_its_row() -> None:
    app = create_app(None, Settings(home="/nowhere"))  # type: ignore[arg-type]  # nothing is asked of it
    elsewhere = ("/api/", "/login", "/logout", "/health", "/ready")
    routes = {(method, path) for method, path in routes_of(app) if not path.startswith(elsewhere)}
    assert {(row.method, row.path) for row in ROWS} == routes
