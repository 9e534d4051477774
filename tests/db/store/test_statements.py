"""Every named statement is described, is used, and is one that PostgreSQL accepts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from db import sql
from db.sql import Statements

DIRECTORY = Path(sql.__file__).parent
FILES = sorted(path.stem for path in DIRECTORY.glob("*.sql"))
NAMED = [(file, name) for file in FILES for name in Statements(file).names()]


def test_statements_are_found_under_their_names() -> None:
    assert len(NAMED) >= 20
    assert len(set(NAMED)) == len(NAMED)
    with pytest.raises(KeyError):
        Statements("matrices")["no such statement"]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_statement_has_a_description_and_a_user(file: str, name: str) -> None:
    source = (DIRECTORY / f"{file}.sql").read_text()
    assert re.search(rf"^-- name: {name}\n-- \w", source, re.MULTILINE)
    users = [path for path in DIRECTORY.parent.rglob(f"{file}.py") if f'_SQL["{name}"]' in path.read_text()]
    assert len(users) == 1


@pytest.mark.parametrize(("file", "name"), [each for each in NAMED if each[0] != "history"])
def test_a_statement_is_one_that_the_schema_accepts(connection: Connection, file: str, name: str) -> None:
    """Planned by the server, all values NULL; `history` works on temporary tables of its own."""
    statement = re.sub(r"(?<!:):\w+", "NULL", Statements(file)[name].text)
    assert connection.execute(text(f"EXPLAIN {statement}")).all()
