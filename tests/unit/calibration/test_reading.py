"""Reading: every row is used or set aside for a counted reason; what means nothing refuses the whole history."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from core.calibration import history, placement
from core.calibration.history import History
from core.errors import BadInput
from db.history import scan_table
from tests.unit.calibration.histories import AS_OF, companies, mapping, read, rounds

TWO_COMPANIES = """
    c1 One saas alive 2001-05-06
    c2 Two - sold - 2019-01-01
"""
THREE_ROUNDS = """
    c1 seed 2010-01-01 1000000
    c1 a    2012-01-01 2000000.5
    c2 b    2011-01-01 -
"""

COMPANY_CODES = ["c1", "c2", "c3", "c4"]
random_rounds = st.lists(
    st.tuples(
        st.sampled_from(COMPANY_CODES),
        st.sampled_from(["seed", "angel", "a", "b", "c", "d", "venture", "venture", "debt"]),
        st.one_of(
            st.none(), st.dates(date(2010, 1, 1), date(2010, 1, 12)), st.dates(date(2019, 6, 1), date(2020, 6, 1))
        ),
    ),
    min_size=1,
    max_size=25,
)


def random_history(drawn: list[tuple[str, str, date | None]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """c4 is of no sector; a sound Seed round makes sure that something is left."""
    held = "c1 One saas alive\n c2 Two biotech sold\n c3 Three games dead\n c4 Four unheard alive"
    lines = ["c1 seed 2009-01-01", *(f"{company} {kind} {day or '-'}" for company, kind, day in drawn)]
    return companies(held), rounds("\n".join(lines))


@given(random_rounds)
@settings(max_examples=60, deadline=None)
def test_rows_read_are_rows_used_plus_rows_set_aside_by_reason(drawn: list[tuple[str, str, date | None]]) -> None:
    company_table, round_table = random_history(drawn)
    found = read(company_table, round_table, mapping(sectors__other=False))
    for rows, given_rows, used in (
        (found.company_rows, company_table, found.companies),
        (found.round_rows, round_table, found.rounds),
    ):
        assert rows.read == given_rows.height
        assert rows.used == used.height
        assert rows.read == rows.used + sum(rows.set_aside.values())


@given(random_rounds, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_permuting_rows_changes_nothing(drawn: list[tuple[str, str, date | None]], shuffle: random.Random) -> None:
    company_table, round_table = random_history(drawn)
    straight = read(company_table, round_table)
    mixed = read(
        company_table[shuffle.sample(range(company_table.height), company_table.height)],
        round_table[shuffle.sample(range(round_table.height), round_table.height)],
    )
    assert_same_history(straight, mixed)


def assert_same_history(one: History, other: History) -> None:
    assert_frame_equal(one.companies, other.companies)
    assert_frame_equal(one.rounds, other.rounds)
    assert (one.company_rows, one.round_rows) == (other.company_rows, other.round_rows)


def test_cells_become_text_dates_amounts_sectors_and_states() -> None:
    found = read(TWO_COMPANIES, THREE_ROUNDS)
    assert found.companies.select("company_id", "sector", "status", "status_date", "founded_on").rows() == [
        ("c1", "Software", "operating", None, date(2001, 5, 6)),
        ("c2", "Other", "exited", date(2019, 1, 1), None),
    ]
    assert found.rounds.select("company_id", "stage", "stage_inferred", "date", "amount_usd").rows() == [
        ("c1", "Seed", False, date(2010, 1, 1), 1_000_000.0),
        ("c1", "A", False, date(2012, 1, 1), 2_000_000.5),
        ("c2", "B", False, date(2011, 1, 1), None),
    ]


def test_parquet_with_types_reads_as_csv_does(tmp_path: Path) -> None:
    company_table, round_table = companies(TWO_COMPANIES), rounds(THREE_ROUNDS)
    company_table.write_csv(tmp_path / "c.csv")
    round_table.write_csv(tmp_path / "r.csv")
    day = pl.col("founded", "ended").str.to_date()
    company_table.with_columns(day).write_parquet(tmp_path / "c.parquet")
    round_table.with_columns(
        pl.col("day").str.to_datetime(), pl.col("usd").cast(pl.Float64), pl.col("disposed").str.to_date()
    ).write_parquet(tmp_path / "r.parquet")
    from_csv = history.read_history(
        scan_table("companies", tmp_path / "c.csv"), scan_table("rounds", tmp_path / "r.csv"), mapping(), AS_OF
    )
    from_parquet = history.read_history(
        scan_table("companies", tmp_path / "c.parquet"), scan_table("rounds", tmp_path / "r.parquet"), mapping(), AS_OF
    )
    assert_same_history(from_csv, from_parquet)
    assert_same_history(from_csv, read(TWO_COMPANIES, THREE_ROUNDS))


def test_the_formats_of_the_mapping_are_tried_in_their_order() -> None:
    how = mapping(date_formats=["%d.%m.%Y", "%m/%d/%Y"])
    found = read("c1 One saas alive", "c1 seed 03.04.2010\n c1 a 05/06/2011", how)
    assert found.rounds["date"].to_list() == [date(2010, 4, 3), date(2011, 5, 6)]


def test_what_cannot_be_used_is_set_aside_by_the_first_reason_that_applies() -> None:
    held = "c1 One saas alive\n c2 Two unheard alive"
    raised = """
        c1 seed    2010-01-01
        c1 a       2012-01-01
        c1 seed    2013-01-01
        c1 venture 2012-01-01
        c1 venture 2014-01-01
        c1 debt    2014-01-01
        c1 debt    -
        c1 b       -
        c1 b       2020-01-02
        c2 a       2012-01-01
    """
    found = read(held, raised, mapping(sectors__other=False))
    assert found.company_rows.set_aside == {history.NO_SECTOR: 1}
    assert found.round_rows.used == 2
    assert found.round_rows.set_aside == {
        "round type 'debt': no equity": 2,
        history.COMPANY_SET_ASIDE: 1,
        history.NO_DATE: 1,
        "dated after 2020-01-01": 1,
        placement.BELOW_STAGE: 1,
        placement.SAME_DAY: 1,
        placement.AMBIGUOUS: 1,
    }


def test_companies_that_keep_only_does_not_list_are_set_aside_with_their_rounds() -> None:
    how = mapping(companies__keep_only={"category": ["saas", ""]})
    found = read("c1 One saas alive\n c2 Two - alive\n c3 Three games alive", "c1 a 2010-01-01\n c3 a 2010-01-01", how)
    assert found.companies["company_id"].to_list() == ["c1", "c2"]
    assert found.company_rows.set_aside == {"category is none of those that keep_only lists": 1}
    assert found.round_rows.set_aside == {history.COMPANY_SET_ASIDE: 1}


def test_an_empty_cell_can_be_given_a_meaning() -> None:
    how = mapping(
        companies__status={"operating": ["alive", ""]}, rounds__unknown_stage=[""], companies__columns__status_date=None
    )
    found = read("c1 One saas -", "c1 seed 2010-01-01\n c1 - 2009-01-01", how)
    assert found.companies["status"].to_list() == ["operating"]
    assert found.rounds["stage"].to_list() == ["Seed", "Seed"]


def test_columns_that_the_mapping_does_not_name_are_not_needed() -> None:
    how = mapping(
        companies__columns={"company_id": "id", "name": "name", "status": "status"},
        rounds__columns={"company_id": "id", "round_type": "type", "date": "day", "amount_usd": "usd"},
    )
    found = read(
        companies("c1 One saas alive").select("id", "name", "status"),
        rounds("c1 seed 2010-01-01 5").select("id", "type", "day", "usd"),
        how,
    )
    assert found.companies.row(0, named=True) | {"last_round_on": None} == {
        "company_id": "c1",
        "name": "One",
        "category": None,
        "sector": "Other",
        "status": "operating",
        "status_date": None,
        "founded_on": None,
        "last_round_on": None,
        "unplaced_on": None,
        "known_until": AS_OF,
    }
    assert found.rounds.select("disposal_date", "disposal_proceeds_usd").row(0) == (None, None)


@pytest.mark.parametrize(
    ("held", "raised", "field", "value", "rule"),
    [
        (
            "c1 One saas alive\n c1 Two saas alive",
            "c1 a 2010-01-01",
            "companies.id",
            "c1",
            "one row only (2 rows: 1, 2)",
        ),
        ("- One saas alive\n c1 Two saas alive", "c1 a 2010-01-01", "companies.id", None, "must not be empty (row 1)"),
        ("c1 - saas alive", "c1 a 2010-01-01", "companies.name", None, "must not be empty (row 1)"),
        ("c1 One saas undead", "c1 a 2010-01-01", "companies.status", "undead", "does not list this value (row 1)"),
        ("c1 One saas -", "c1 a 2010-01-01", "companies.status", "", "does not list this value (row 1)"),
        ("c1 One saas alive 2010-02-30", "c1 a 2010-01-01", "companies.founded", "2010-02-30", "must be a date"),
        ("c1 One saas alive 10-02-03", "c1 a 2010-01-01", "companies.founded", "10-02-03", "must be a date"),
        (
            "c1 One saas sold - never",
            "c1 a 2010-01-01",
            "companies.ended",
            "never",
            "must be a date written like %Y-%m-%d",
        ),
        ("c1 One saas alive - 2012-01-01", "c1 a 2010-01-01", "companies.ended", "2012-01-01", "while the company is"),
        (
            "c1 One saas sold - 2009-01-01",
            "c1 a 2010-01-01",
            "companies.ended",
            "2009-01-01",
            "precede the company's last",
        ),
        ("c1 One saas alive", "c9 a 2010-01-01", "rounds.id", "c9", "no such company (row 1)"),
        ("c1 One saas alive", "- a 2010-01-01", "rounds.id", None, "must not be empty"),
        ("c1 One saas alive", "c1 z 2010-01-01", "rounds.type", "z", "does not list this value"),
        ("c1 One saas alive", "c1 a 2010/01/01", "rounds.day", "2010/01/01", "must be a date"),
        ("c1 One saas alive", "c1 a 2010-01-01 much", "rounds.usd", "much", "must be a number"),
        ("c1 One saas alive", "c1 a 2010-01-01 1,000", "rounds.usd", "1,000", "must be a number"),
        ("c1 One saas alive", "c1 a 2010-01-01 nan", "rounds.usd", "nan", "must be a number"),
        ("c1 One saas alive", "c1 a 2010-01-01 inf", "rounds.usd", "inf", "must be a number"),
        ("c1 One saas alive", "c1 a 2010-01-01 -5", "rounds.usd", "-5", "must not be negative (row 1)"),
        ("c1 One saas alive", "c1 a 2010-01-01 5 2011-13-01", "rounds.disposed", "2011-13-01", "must be a date"),
        ("c1 One saas alive", "c1 a 2010-01-01 5 2009-01-01", "rounds.disposed", "2009-01-01", "must not precede"),
        ("c1 One saas alive", "c1 a 2010-01-01 5 - 7", "rounds.proceeds", "7", "need a disposal date"),
        ("c1 One saas alive", "c1 a 2010-01-01 5 2011-01-01 -7", "rounds.proceeds", "-7", "must not be negative"),
        ("", "c1 a 2010-01-01", "companies file", "no rows", "at least one row"),
        ("c1 One saas alive", "", "rounds file", "no rows", "at least one row"),
        ("c1 One saas alive", "c1 debt 2010-01-01", "history", "as of 2020-01-01", "'debt': no equity: 1"),
        ("c1 One saas alive", "c1 a 2021-01-01", "history", "as of 2020-01-01", "no round is left"),
    ],
)
def test_a_wrong_history_is_refused_with_field_value_rule_and_row(
    held: str, raised: str, field: str, value: str | None, rule: str
) -> None:
    with pytest.raises(BadInput) as refused:
        read(held, raised)
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == (field, value)
    assert rule in problem.rule


def test_a_column_that_is_missing_is_named_with_those_that_are_there() -> None:
    how = mapping(companies__columns__status="state", companies__keep_only={"country": ["US"]})
    with pytest.raises(BadInput) as refused:
        read(TWO_COMPANIES, THREE_ROUNDS, how)
    assert [problem.value for problem in refused.value.problems] == ["state", "country"]
    assert "it has: id, name, category, status, founded, ended" in str(refused.value)


def test_many_bad_rows_are_counted_and_the_first_are_named() -> None:
    raised = "\n".join(f"c1 a 2010-01-01 {-1 if row % 2 else 1}" for row in range(1, 2001))
    with pytest.raises(BadInput, match=r"1,000 rows: 1, 3, 5, 7, 9, \.\.\."):
        read("c1 One saas alive", raised)


def test_every_value_without_a_meaning_is_listed_up_to_a_limit() -> None:
    raised = "\n".join(f"c1 type{number} 2010-01-01\n c1 type{number} 2010-01-01" for number in range(12))
    with pytest.raises(BadInput) as refused:
        read("c1 One saas alive", raised)
    values = [problem.value for problem in refused.value.problems]
    assert values == [*(f"type{number}" for number in range(10)), "..."]
    assert "(2 rows: 3, 4)" in refused.value.problems[1].rule
    assert "2 more values" in refused.value.problems[-1].rule


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("ragged.csv", b"id,name,category,status,founded,ended\n1,2,3,4,5,6,7\n"),
        ("latin.csv", b"id,name,category,status,founded,ended\n\xff,2,3,4,5,6\n"),
        ("broken.parquet", b"PAR1 and then nothing"),
    ],
)
def test_a_file_that_cannot_be_read_is_bad_input(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read"):
        history.read_history(scan_table("companies", tmp_path / name), rounds(THREE_ROUNDS).lazy(), mapping(), AS_OF)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"rounds file = .*absent\.csv.*no such file"):
        scan_table("rounds", tmp_path / "absent.csv")


def test_text_that_postgresql_cannot_hold_is_refused() -> None:
    held = companies("c1 One saas alive").with_columns(name=pl.lit("a\0b"))
    with pytest.raises(BadInput, match="NUL"):
        read(held, rounds("c1 a 2010-01-01"))
