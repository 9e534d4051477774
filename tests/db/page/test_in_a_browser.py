"""A partner's walk through the page in a real browser, wide and narrow, each page judged by axe-core.

Skipped where there is no Chromium; without axe-core the walk is done and accessibility is not judged. `.ci/run`
installs both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import text

from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID
from tests.db.page.carried_out import finish, start
from tests.db.page.conftest import Told
from tests.db.page.visiting import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parents[3] / ".tools" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FUND = f"/funds/{EXAMPLE_FUND_ID}"
WIDTHS = {"wide": 1440, "narrow": 390}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=["wide-light", "narrow-dark"])
def visit(request: pytest.FixtureRequest, chromium: Browser, site: Site) -> Iterator[Page]:
    """A page that is logged in by its link. What the console says is a failure, as is a request to elsewhere."""
    width, scheme = request.param.split("-")
    context = chromium.new_context(
        viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme, base_url=site.url
    )
    context.set_default_timeout(60_000)
    visit = context.new_page()
    complaints: list[str] = []
    visit.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    visit.on("pageerror", lambda error: complaints.append(str(error)))
    visit.on("request", lambda asked: None if asked.url.startswith(site.url) else complaints.append(asked.url))
    visit.goto(site.login_link())
    judge(visit)
    visit.get_by_role("button", name="Open vcfolio").click()
    expect(visit.get_by_role("heading", name="Your funds")).to_be_visible()
    yield visit
    context.close()
    # A form that was sent wrongly is answered 422, which Chromium tells of.
    assert [one for one in complaints if "422" not in one] == []


def judge(visit: Page) -> None:
    """No page is wider than its window, and axe-core finds nothing against WCAG 2.2 AA in it."""
    # What is expected of a page may be there before its style is.
    visit.wait_for_load_state("load")
    assert visit.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), visit.url
    if not AXE.exists():
        return
    # As a debugger would, since the page's own policy lets no foreign script in.
    visit.evaluate(AXE.read_text())
    found = visit.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    told = [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]
    assert told == [], visit.url


def session_of(visit: Page) -> UUID:
    return UUID(visit.url.rstrip("/").rsplit("/", 1)[1])


def test_axe_core_is_here() -> None:
    if not AXE.exists():
        pytest.skip(f"no {AXE.relative_to(AXE.parents[3])}: accessibility is not judged; .ci/run installs it")


def test_ask_watch_and_read(visit: Page, site: Site) -> None:
    visit.goto(f"{FUND}/request?start=last")
    judge(visit)
    # Wrong while typing: the problem is told at the field before anything is sent.
    loss = visit.get_by_label("Max loss probability")
    loss.fill("120")
    rule = visit.locator('[data-rule="maxLossProbability"]')
    expect(rule).to_contain_text("must be at most 100%")
    expect(loss).to_have_attribute("aria-invalid", "true")
    # Sent all the same, the server says so, too.
    visit.get_by_role("button", name="Find the portfolio").click()
    expect(visit.get_by_role("alert")).to_contain_text("1 thing needs your attention")
    judge(visit)
    visit.get_by_role("link", name="Max loss probability").click()
    expect(loss).to_be_focused()
    loss.fill("65")
    expect(rule).to_be_empty()
    expect(visit.locator("#forecast")).to_contain_text("Scenarios stored")
    visit.get_by_role("button", name="Find the portfolio").click()
    expect(visit.get_by_role("heading", name="The portfolio is on its way")).to_be_visible()
    judge(visit)
    # The session goes on elsewhere; the page hears of it, and a reload finds it where it is.
    session = session_of(visit)
    fence = start(site.engine, session)
    expect(visit.locator("li[aria-current=step]")).to_contain_text("Simulating the scenarios")
    visit.reload()
    expect(visit.locator("li[aria-current=step]")).to_contain_text("Simulating the scenarios")
    finish(site.engine, fence)
    expect(visit.get_by_role("heading", name="What to buy")).to_be_visible()
    judge(visit)
    for picture in visit.locator("figure img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0
    # Sorted by keyboard alone.
    sector = visit.locator("#allocation table.sortable th").nth(1).get_by_role("button")
    sector.focus()
    visit.keyboard.press("Enter")
    shown = visit.locator("#allocation table.sortable tbody tr td:nth-child(2)").all_inner_texts()
    assert shown == sorted(shown)
    visit.get_by_role("link", name="Printable report").click()
    expect(visit.locator("article")).to_contain_text(str(session))
    judge(visit)


def test_cancel_one_and_compare_two(visit: Page, site: Site, told: Told) -> None:
    visit.goto(f"/sessions/{told.requested}")
    visit.get_by_role("button", name="Cancel this session").click()
    expect(visit.get_by_role("heading", name="This session was cancelled")).to_be_visible()
    judge(visit)
    visit.goto(FUND)
    judge(visit)
    visit.get_by_role("button", name="Compare A with B").click()
    expect(visit.get_by_role("heading", name="What was asked differently")).to_be_visible()
    judge(visit)


@pytest.mark.parametrize("state", ["failed", "relaxed", "optimizing"])
def test_other_pages_are_for_everybody(visit: Page, told: Told, state: str) -> None:
    visit.goto(f"/sessions/{getattr(told, state)}")
    judge(visit)


def test_progress_is_heard_of_without_a_reload(visit: Page, site: Site, told: Told) -> None:
    visit.goto(f"/sessions/{told.optimizing}")
    expect(visit.locator("#progress")).to_contain_text("5.00%")
    with transaction(site.engine) as conn:
        conn.execute(
            text(
                """UPDATE optimization_sessions SET progress = '{"step": "tie-break solve"}' WHERE session_id = :id"""
            ),
            {"id": told.optimizing},
        )
    expect(visit.locator("#progress")).to_contain_text("tie-break solve")
