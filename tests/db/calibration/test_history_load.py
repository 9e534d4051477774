"""Loading by COPY: companies are inserted or updated, their rounds replaced, everything or nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import polars as pl
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID, add_fund, local_user_id
from db.history import LoadCounts, load_history
from tests.unit.calibration.histories import companies, read, rounds

HELD = "c1 One saas alive 2001-05-06\n c2 Two - sold - 2019-01-01"
RAISED = "c1 seed 2010-01-01 1000000 2018-01-01 5\n c1 venture 2009-01-01\n c2 b 2011-01-01"


def stored(conn: Connection, fund: UUID = EXAMPLE_FUND_ID) -> list[tuple[Any, ...]]:
    """All that is stored of a fund's history, but for internal ids and times."""
    rows = conn.execute(
        text("""
            SELECT external_id, name, sector, category, status, status_date::text, founded_on::text, round_label, stage,
              stage_inferred, investment_date::text, amount_usd, disposal_date::text, disposal_proceeds_usd
            FROM portfolio_companies c LEFT JOIN investments i ON i.company_id = c.id
            WHERE fund_id = :fund ORDER BY external_id, investment_date, round_label
        """),
        {"fund": fund},
    )
    return [tuple(row) for row in rows]


def ids(conn: Connection) -> dict[str, UUID]:
    return dict(conn.execute(text("SELECT external_id, id FROM portfolio_companies")).all())


def test_every_field_of_companies_and_rounds_arrives(connection: Connection) -> None:
    counts = load_history(connection, EXAMPLE_FUND_ID, read(HELD, RAISED))
    assert counts == LoadCounts(2, 0, 0, 0, 0, 3)
    one = ("c1", "One", "Software", "saas", "operating", None, "2001-05-06")
    two = ("c2", "Two", "Other", None, "exited", "2019-01-01", None)
    assert stored(connection) == [
        (*one, "venture", "Seed", True, "2009-01-01", None, None, None),
        (*one, "seed", "Seed", False, "2010-01-01", 1_000_000.0, "2018-01-01", 5.0),
        (*two, "b", "B", False, "2011-01-01", None, None, None),
    ]


def test_text_of_any_kind_survives(connection: Connection) -> None:
    names = ['tab\there, "quote"', "back\\slash \\N", "Zürich 東京 🚀", "line\nbreak"]
    held = companies("\n".join(f"c{n} x saas alive" for n in range(len(names)))).with_columns(name=pl.Series(names))
    load_history(connection, EXAMPLE_FUND_ID, read(held, rounds("c0 a 2010-01-01")))
    assert [row[1] for row in stored(connection)] == names


def test_loading_twice_changes_nothing(connection: Connection) -> None:
    load_history(connection, EXAMPLE_FUND_ID, read(HELD, RAISED))
    before, known = stored(connection), ids(connection)
    assert load_history(connection, EXAMPLE_FUND_ID, read(HELD, RAISED)) == LoadCounts(0, 0, 2, 0, 3, 3)
    assert stored(connection) == before
    assert ids(connection) == known


def test_a_company_is_updated_and_its_rounds_replaced_and_others_are_kept(connection: Connection) -> None:
    load_history(connection, EXAMPLE_FUND_ID, read(HELD, RAISED))
    known = ids(connection)
    later = read("c1 Uno biotech dead\n c3 Three saas alive", "c1 a 2012-01-01")
    assert load_history(connection, EXAMPLE_FUND_ID, later) == LoadCounts(1, 1, 0, 1, 2, 1)
    rows = {row[0]: row for row in stored(connection)}
    assert rows["c1"][1:5] == ("Uno", "Health", "biotech", "failed")
    assert rows["c1"][7:9] == ("a", "A")
    assert rows["c2"][7:9] == ("b", "B")
    assert rows["c3"][7] is None
    assert len(stored(connection)) == 3
    assert ids(connection).items() >= known.items()


def test_funds_do_not_see_each_others_companies(connection: Connection) -> None:
    other = add_fund(connection, "Another Fund", local_user_id(connection)).id
    load_history(connection, EXAMPLE_FUND_ID, read(HELD, RAISED))
    before = stored(connection)
    counts = load_history(connection, other, read("c1 Uno biotech dead", "c1 a 2012-01-01"))
    assert counts == LoadCounts(1, 0, 0, 0, 0, 1)
    assert stored(connection) == before
    assert [row[1] for row in stored(connection, other)] == ["Uno"]


def test_a_failure_leaves_nothing(engine: Engine) -> None:
    history = read(HELD, RAISED)
    history.rounds[2, "date"] = None  # what only the database refuses, after the companies are in
    with pytest.raises(DBAPIError, match="investment_date"), transaction(engine) as conn:
        load_history(conn, EXAMPLE_FUND_ID, history)
    with transaction(engine) as conn:
        assert stored(conn) == []
