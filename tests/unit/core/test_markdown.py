from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from core.markdown import escaped

HOSTILE = [
    "Software [b2b]",
    "[click](javascript:alert(1))",
    "![x](https://elsewhere.example/pixel)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a`b``c",
    "**bold** _thin_ ~~gone~~ snake_case __init__",
    "a|b",
    "# heading",
    "- item",
    "+ item",
    "1. first",
    "2) second",
    "> quoted",
    "=====",
    "---",
    "&lt;b&gt; &amp;",
    "back\\slash \\* \\",
    "https://elsewhere.example and www.elsewhere.example",
    "mailto:someone@elsewhere.example",
    "two\nlines\r\nand three",
    "Ünïcödé 軟體",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_is_read_as_it_is_written(text: str) -> None:
    """By an independent implementation of CommonMark with tables, struck-out text and links made of addresses."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    (start, inline, end) = reader.parse(escaped(text))
    assert (start.type, end.type) == ("paragraph_open", "paragraph_close")
    assert {token.type for token in inline.children or []} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or []) == " ".join(text.splitlines())


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_stays_in_its_cell_of_a_table(text: str) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = f"| a | b |\n|---|---|\n| {escaped(text)} | end |\n"
    cells = [token for token in reader.parse(page) if token.type == "td_open"]
    assert len(cells) == 2


def test_an_address_is_no_link_to_those_who_make_links_of_addresses() -> None:
    for address in ("https://elsewhere.example", "www.elsewhere.example", "mailto:someone@elsewhere.example"):
        assert address not in escaped(f"see {address}")


def test_keys_and_names_of_ours_stay_readable() -> None:
    for text in ("us_venture_2004_2013", "Seed_AI", "35% of the capital: 2.40x", "bucket (Seed, AI)"):
        assert escaped(text) == text
