"""Every page in every state, as a browser without script gets it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID
from tests.db.frontiers import solve_all
from tests.db.page.conftest import Told
from tests.db.page.visiting import Site
from tests.small_request import SMALL

FUND = f"/funds/{EXAMPLE_FUND_ID}"
FIRST_VIEW_BYTES = 300_000


def shown(answer: httpx.Response, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    # The policy forbids both, so a page that has them would look wrong and do nothing.
    assert not re.search(r"<[^>]*\s(style|on\w+)=|<script(?![^>]*\ssrc=)", answer.text)
    return unescape(answer.text)


def token_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', client.get("/").text)
    assert found is not None
    return found[1]


def filled(page: str) -> dict[str, list[str]]:
    """What a browser would send for the form of a request."""
    form = page[page.index('id="request"') :]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") != "checkbox" or "checked" in tag:
            sent.setdefault(attributes["name"], []).append(attributes.get("value", ""))
    for name, content in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', form):
        sent.setdefault(name, []).append(content)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        sent.setdefault(name, []).append(chosen.group(1) if chosen else "")
    return sent


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("requested", ["Waiting for its turn", "Cancel this session", "in progress"]),
        ("simulating", ["Simulating the scenarios", "Cancel this session"]),
        ("optimizing", ["primary solve", "2.1000x", "5.00%"]),
        ("validating", ["Testing it out of sample", "Cancel this session"]),
        ("failed", ["This session failed", "no portfolio has a CVaR of at most 5%", "Loosen one", "Ask again"]),
        ("cancelled", ["This session was cancelled", "no longer needed", "Ask again"]),
        ("completed", ["Where the capital goes", "Printable report", "What to buy"]),
        ("relaxed", ["had to be relaxed", "Relaxed", "at least 40, relaxed", "Why limits had to be relaxed"]),
    ],
)
def test_a_session_says_where_it_is_and_what_can_be_done(
    reading: Site, told: Told, state: str, words: list[str]
) -> None:
    page = shown(reading.logged_in().get(f"/sessions/{getattr(told, state)}"))
    for word in words:
        assert word in page


def test_a_viewer_reads_and_is_offered_no_change(reading: Site, told: Told) -> None:
    viewer = reading.logged_in("vera")
    for state in (told.requested, told.failed):
        page = shown(viewer.get(f"/sessions/{state}"))
        assert "Cancel this session" not in page
        assert "Ask again" not in page
    assert "Ask for a portfolio" not in shown(viewer.get(FUND))
    assert "Ask for a portfolio" not in shown(viewer.get("/"))
    shown(viewer.get(f"{FUND}/request"), 403)


def test_pages_of_other_users_funds_are_not_found(reading: Site, told: Told) -> None:
    stranger = reading.logged_in("sten")
    for path in (
        FUND,
        f"{FUND}/request",
        *(f"/sessions/{told.completed}{part}" for part in ("", "/report", "/progress", "/charts/treemap.svg")),
        f"/sessions/{told.completed}/download/csv",
        f"/sessions/{told.completed}/frontier",
        f"/compare?a={told.completed}&b={told.relaxed}",
        f"/sessions/{uuid4()}",
        "/sessions/nonsense",
    ):
        page = shown(stranger.get(path), 404)
        assert "Nothing here" in page
    assert "Example Fund" not in shown(stranger.get("/"))


def test_a_visitor_without_credentials_is_sent_to_the_login(reading: Site, told: Told) -> None:
    nobody = reading.browser()
    for path in ("/", FUND, f"/sessions/{told.completed}/report"):
        answer = nobody.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "vcfolio login" in shown(nobody.get("/login"))


def test_the_fund_lists_its_sessions_and_offers_two_answers_to_compare(reading: Site, told: Told) -> None:
    page = shown(reading.logged_in().get(FUND))
    for session in (told.completed, told.relaxed, told.cancelled):
        assert f"/sessions/{session}" in page
    assert "relaxed" in page
    checked = re.findall(r'name="([ab])" value="([^"]+)" checked', page)
    assert sorted(checked) == [("a", str(told.relaxed)), ("b", str(told.completed))]


def test_a_comparison_says_what_differs(reading: Site, told: Told) -> None:
    page = shown(reading.logged_in().get(f"/compare?a={told.relaxed}&b={told.completed}"))
    for words in ("Bucket max weight", "60%", "Min expected winners", "50,000,000", "Where the capital moved"):
        assert words in page
    same = shown(reading.logged_in().get(f"/compare?a={told.completed}&b={told.completed}"))
    assert "The two requests are the same." in same
    assert "The portfolios are the same" in same
    unfinished = shown(reading.logged_in().get(f"/compare?a={told.requested}&b={told.completed}"))
    assert "Only sessions that have completed" in unfinished


def test_the_report_has_all_that_it_takes_to_repeat_the_session(reading: Site, told: Told) -> None:
    client = reading.logged_in()
    result = client.get(f"/sessions/{told.relaxed}/download/json").json()
    page = shown(client.get(f"/sessions/{told.relaxed}/report"))
    for value in (result["matrixKey"], result["calibrationVersion"], result["modelVersion"], str(told.relaxed)):
        assert value in page
    assert '"minExpectedWinners": 40' in page
    for entry in result["allocation"]:
        if entry["weight"] > 0.0005:
            assert f"${entry['dollarAmount']:,.0f}" in page
    assert result["relaxations"][0]["explanation"] in page


@pytest.mark.parametrize("name", ["treemap", "multiples", "regimes"])
def test_charts_are_pictures_that_cannot_run_anything(reading: Site, told: Told, name: str) -> None:
    answer = reading.logged_in().get(f"/sessions/{told.completed}/charts/{name}.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text.startswith("<?xml")
    assert "<script" not in answer.text


def test_without_its_matrix_a_result_still_has_its_page(site: Site, told: Told) -> None:
    with transaction(site.engine) as conn:
        conn.execute(text("DELETE FROM scenario_matrices"))
    client = site.logged_in()
    page = shown(client.get(f"/sessions/{told.completed}"))
    assert "no longer stored" in page
    shown(client.get(f"/sessions/{told.completed}/charts/multiples.svg"), 404)
    assert client.get(f"/sessions/{told.completed}/charts/treemap.svg").status_code == 200


def test_downloads(reading: Site, told: Told) -> None:
    client = reading.logged_in()
    lines = client.get(f"/sessions/{told.completed}/download/csv").text.splitlines()
    assert lines[0].startswith("bucketId,stage,sector,weight")
    assert len(lines) == 1 + 4
    assert client.get(f"/sessions/{told.completed}/download/parquet").content[:4] == b"PAR1"
    shown(client.get(f"/sessions/{told.completed}/download/exe"), 404)
    shown(client.get(f"/sessions/{told.requested}/download/csv"), 409)


def test_the_form_shows_the_last_request_an_example_or_nothing(reading: Site) -> None:
    client = reading.logged_in()
    last = filled(shown(client.get(f"{FUND}/request")))
    assert last["totalFundSize"] == ["50000000"]
    assert last["bucketMaxWeight"] == ["60"]
    assert last["buckets.stages"] == ["Seed", "A"]
    example = filled(shown(client.get(f"{FUND}/request?start=example")))
    assert example["stageBounds.Seed.max"] == ["40"]
    empty = filled(shown(client.get(f"{FUND}/request?start=empty")))
    assert empty["totalFundSize"] == [""]


def test_the_form_says_what_is_stored_and_how_long_it_will_take(reading: Site) -> None:
    page = shown(reading.logged_in().get(f"{FUND}/request"))
    assert "stored already" in page
    assert "going by the fund's 2 completed sessions" in page
    assert "will be simulated first" in shown(reading.logged_in().get(f"{FUND}/request?start=example"))


def test_an_invalid_form_comes_back_with_every_problem_at_its_field(site: Site) -> None:
    client = site.logged_in()
    form = filled(shown(client.get(f"{FUND}/request?start=example")))
    form |= {"maxLossProbability": ["120"], "totalFundSize": ["much"], "stageBounds.Seed.min": ["50"]}
    before = _sessions(site)
    page = shown(client.post(f"{FUND}/request", data=form), 422)
    for path, rule in (
        ("maxLossProbability", "must be at most 100%"),
        ("totalFundSize", "must be a number"),
        ("stageBounds.Seed.min", "must not exceed max (40%)"),
    ):
        assert re.search(rf'id="rule-{re.escape(path)}"[^>]*>.*{re.escape(rule)}', page)
        assert re.search(rf'id="in-{re.escape(path)}"[^>]*aria-invalid="true"', page)
    again = filled(page)
    assert again["totalFundSize"] == ["much"]
    assert again["maxLossProbability"] == ["120"]
    assert _sessions(site) == before


def test_a_valid_form_becomes_its_request_and_sent_twice_one_session(site: Site) -> None:
    client = site.logged_in()
    form = filled(shown(client.get(f"{FUND}/request"))) | {"cvarLimit": ["87.5"], "totalFundSize": ["75,000,000"]}
    first, second = (client.post(f"{FUND}/request", data=form) for _ in range(2))
    assert first.status_code == 303
    assert second.headers["location"] == first.headers["location"]
    session = first.headers["location"].rsplit("/", 1)[1]
    with transaction(site.engine) as conn:
        request = conn.scalar(text("SELECT request FROM optimization_sessions WHERE session_id = :id"), {"id": session})
    assert request == {**SMALL, "bucketMaxWeight": 0.6, "cvarLimit": 0.875, "totalFundSize": 75_000_000}
    other = client.post(f"{FUND}/request", data=form | {"cvarLimit": ["88"]})
    assert other.headers["location"] != first.headers["location"]


def test_a_file_fills_the_form_and_a_wrong_one_is_explained(site: Site) -> None:
    client = site.logged_in()
    csrf = {"csrf_token": token_of(client), "action": "upload"}

    def upload(content: str, status: int) -> str:
        return shown(client.post(f"{FUND}/request", data=csrf, files={"file": ("r.json", content)}), status)

    right = filled(upload(json.dumps({**SMALL, "cvarLimit": 0.123}), 200))
    assert right["cvarLimit"] == ["12.3"]
    wrong = upload(json.dumps({**SMALL, "cvarLimit": 2, "color": "red"}), 422)
    assert "is not a field here" in wrong
    assert filled(wrong)["cvarLimit"] == ["200"]
    assert "is not JSON" in upload("{", 422)


def test_what_people_type_stays_text(site: Site) -> None:
    client = site.logged_in()
    form = filled(shown(client.get(f"{FUND}/request")))
    evil = '"><img src=x onerror=alert(1)>'
    form |= {"buckets.sectors": [evil], "taxonomyVersion": [evil], "totalFundSize": ["1e9999999"], "nonce": ["\0"]}
    page = client.post(f"{FUND}/request", data=form | {"action": ["rows"]})
    assert page.status_code == 200
    assert "<img" not in page.text
    assert page.text.count("&lt;img src=x") > 2
    for buckets in ("", "[" * 100_000, '{"stages": NaN}'):
        refused = client.post(f"{FUND}/request", data=form | {"buckets": [buckets], "action": ["send"]})
        assert refused.status_code == 422
        assert "<img" not in refused.text


def test_the_check_while_typing_says_what_sending_would(site: Site) -> None:
    client = site.logged_in()
    form = filled(shown(client.get(f"{FUND}/request")))
    before = _sessions(site)
    right = client.post(f"{FUND}/request/check", data=form).json()
    assert right["problems"] == []
    assert right["forecast"]["cached"] is True
    wrong = client.post(f"{FUND}/request/check", data=form | {"cvarLimit": ["101"]}).json()
    assert wrong == {
        "problems": [{"anchor": "cvarLimit", "label": "CVaR limit", "rule": "must be at most 100%"}],
        "forecast": None,
    }
    assert _sessions(site) == before


def test_cancel_and_ask_again(site: Site, told: Told) -> None:
    client = site.logged_in()
    csrf = {"csrf_token": token_of(client)}
    assert client.post(f"/sessions/{told.requested}/cancel", data=csrf).status_code == 303
    assert "cancelled by local on the page" in shown(client.get(f"/sessions/{told.requested}"))
    again = client.post(f"/sessions/{told.requested}/retry", data=csrf)
    assert again.headers["location"] != f"/sessions/{told.requested}"
    assert "Waiting for its turn" in shown(client.get(again.headers["location"]))


@pytest.mark.parametrize("path", ["/sessions/{}/cancel", "/sessions/{}/retry", "/sessions/{}/frontier"])
def test_a_change_without_the_pages_token_is_refused(site: Site, told: Told, path: str) -> None:
    client = site.logged_in()
    before = _sessions(site)
    for sent in ({}, {"csrf_token": "0" * 64}):
        shown(client.post(path.format(told.requested), data=sent), 403)
    viewer = site.logged_in("vera")
    changed = viewer.post(
        path.format(told.completed), data={"csrf_token": token_of(viewer), "vary": "cvarLimit=0.1,0.2"}
    )
    shown(changed, 403)
    assert _sessions(site) == before


def test_a_frontier_is_solved_when_asked_for(site: Site, told: Told) -> None:
    client = site.logged_in()
    address = f"/sessions/{told.completed}/frontier"
    page = shown(client.get(address))
    vary = re.findall(r'name="vary" value="(cvarLimit[^"]+)"', page)[0]
    answer = client.post(address, data={"csrf_token": token_of(client), "vary": vary})
    assert answer.status_code == 303
    frontiers_page = answer.headers["location"]
    assert "0 of 6 values are solved" in shown(client.get(frontiers_page))
    solve_all(site.engine)
    page = shown(client.get(frontiers_page))
    assert "as asked" in page
    chart = re.findall(r'src="([^"]+frontier.svg[^"]+)"', page)[0]
    assert client.get(chart).headers["content-type"].startswith("image/svg+xml")
    shown(client.get(address, params={"vary": "nonsense"}), 422)
    # Of the session whose limits were relaxed no point has a portfolio: no picture of nothing, but what to do.
    address = f"/sessions/{told.relaxed}/frontier"
    client.post(address, data={"csrf_token": token_of(client), "vary": "cvarLimit=0.8,0.9"})
    solve_all(site.engine)
    page = shown(client.get(address, params={"vary": "cvarLimit=0.8,0.9"}))
    assert "other limits stand in the way" in page
    assert "frontier.svg" not in page


def test_the_first_view_is_small(reading: Site, told: Told) -> None:
    client = reading.logged_in()
    assets = sum(len(client.get(f"/static/{name}").content) for name in ("vcfolio.css", "vcfolio.js", "icon.svg"))
    for path in ("/", FUND, f"{FUND}/request?start=example", f"/sessions/{told.completed}"):
        assert len(client.get(path).content) + assets < FIRST_VIEW_BYTES


def _sessions(site: Site) -> int:
    with transaction(site.engine) as conn:
        return int(conn.scalar(text("SELECT count(*) FROM optimization_sessions")) or 0)


@pytest.mark.parametrize(
    "document",
    [
        {"buckets": {"stages": ["Seed"], "sectors": [f"Sector number {k}" for k in range(40_000)]}},
        {"sectorBounds": {f"Sector number {k}": {"max": 0.5} for k in range(20_000)}},
        {"buckets": [{"stage": "Seed", "sector": f"Sector number {k}"} for k in range(15_000)]},
        {"buckets": {"sectors": ["x" * 700_000]}},
        {"sectorBounds": {"x" * 700_000: {"max": 0.5}}},
        {"scenarioGenConfig": {"regimeConfig": {"regimes": [{"name": f"{k}"} for k in range(40_000)]}}},
    ],
    ids=lambda document: str(document)[:30],
)
def test_the_form_for_a_large_file_is_not_many_times_the_file(site: Site, document: dict[str, Any]) -> None:
    client = site.logged_in()
    csrf = {"csrf_token": token_of(client), "action": "upload"}
    file = json.dumps(document)
    answer = client.post(f"/funds/{EXAMPLE_FUND_ID}/request", data=csrf, files={"file": ("large.json", file)})
    assert answer.status_code == 422
    assert len(answer.content) < 6 * len(file) + 2_000_000


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff"])
def test_half_of_a_surrogate_pair_is_a_problem_of_its_field_and_no_failure(site: Site, half: str) -> None:
    """JSON may name it; UTF-8, and so PostgreSQL and the page, cannot."""
    client = site.logged_in()
    csrf = {"csrf_token": token_of(client), "action": "upload"}
    for document in (
        f'{{"buckets": {{"stages": ["Seed"], "sectors": ["A{half}I"]}}}}',
        f'{{"{half}": 1}}',
        f'{{"sectorBounds": {{"A{half}": {{"max": 0.5}}}}}}',
        f'{{"taxonomyVersion": "{half}"}}',
        f'{{"calibrationVersion": "{half}"}}',
    ):
        answer = client.post(f"/funds/{EXAMPLE_FUND_ID}/request", data=csrf, files={"file": ("x.json", document)})
        assert answer.status_code == 422, document
