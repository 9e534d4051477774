"""Text from data within Markdown: read as it is written, never as markup."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*\[\]|~<>&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# At the beginning of a line these open headings, lists, rules and quotations.
_OPENING = re.compile(r"^(\s*)([#+\-=])|^(\s*\d+)([.)])")
_ADDRESS = re.compile(r"(?i)://|(?<=www)\.|(?<=mailto):")


def escaped(text: str) -> str:
    """For one line of Markdown, a table's cell included: shows exactly these characters, and makes no link of them."""
    line = " ".join(text.splitlines())
    line = _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)
    line = _OPENING.sub(lambda found: f"{found[1] or found[3] or ''}\\{found[2] or found[4]}", line)
    # What looks like an address becomes a link without any markup.
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", line)
