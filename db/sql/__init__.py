"""SQL statements by name: `db/sql/matrices.sql` holds those of `db/matrices.py`, and so on.

A statement begins at a line `-- name: NAME`; the comment lines after it say what it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sqlalchemy import TextClause, text

_NAME = re.compile(r"^-- name: (\w+)$\n(?:^--.*$\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statements:
    """Those of `db/sql/{file}.sql`, which is read when the first of them is used. Raises KeyError for another name."""

    file: str

    def __getitem__(self, name: str) -> TextClause:
        return _read(self.file)[name]

    def names(self) -> list[str]:
        """In the file's order."""
        return list(_read(self.file))


@cache
def _read(file: str) -> dict[str, TextClause]:
    source = files(__name__).joinpath(f"{file}.sql").read_text(encoding="utf-8")
    _preface, *named = _NAME.split(source)
    return {name: text(sql.strip()) for name, sql in zip(named[::2], named[1::2], strict=True)}
