"""Pages of the documentation point at files and headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[3]
DECISIONS = PROJECT / "docs" / "decisions"


def pages() -> list[Path]:
    return [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "benchmarks").rglob("*.md")]


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{page.relative_to(PROJECT)}: {target}")
    return broken


def test_every_link_of_the_documentation_leads_to_a_file_and_heading_that_exist() -> None:
    assert len(pages()) > 40
    assert [link for page in pages() for link in broken_links(page)] == []


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            file = (page.parent / target).resolve()
            if "://" not in target and file.is_dir():
                file = file / "README.md"
            if "://" not in target and file.suffix == ".md" and file.exists():
                waiting.append(file)
    documentation = {page for page in pages() if PROJECT / "docs" in page.parents}
    assert documentation - reached == set()


def test_every_decision_has_a_status_and_a_date_and_stands_in_the_index() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    for record in sorted(DECISIONS.glob("0*.md")):
        title, blank, status, date = record.read_text(encoding="utf-8").splitlines()[:4]
        assert re.fullmatch(rf"# {int(record.name[:4])}\. .+", title), record.name
        assert blank == ""
        assert re.fullmatch(r"Status: (accepted|superseded by \d+).*", status), record.name
        assert re.fullmatch(r"Date: \d{4}-\d{2}-\d{2}", date), record.name
        assert f"]({record.name}) | {title.partition('. ')[2]} | {status.removeprefix('Status: ')} |" in index
