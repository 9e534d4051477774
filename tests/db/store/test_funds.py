from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from core.errors import BadInput, Conflict, NotFound
from db import funds
from db.funds import EXAMPLE_FUND_ID, Member
from db.tables.owners import FundRole
from tests.db.store.examples import race


def test_the_example_fund_belongs_to_the_local_user(connection: Connection) -> None:
    fund = funds.find_fund(connection, "Example Fund")
    local = funds.local_user_id(connection)
    assert (fund.id, str(fund.id)) == (EXAMPLE_FUND_ID, "00000000-0000-4000-8000-000000000001")
    assert local == UUID("00000000-0000-4000-8000-000000000002")
    assert funds.list_members(connection, fund.id) == [Member(local, "local", FundRole.OWNER)]


def test_a_fund_is_found_by_name_and_by_id(connection: Connection) -> None:
    fund = funds.add_fund(connection, " Fund I ", funds.local_user_id(connection))
    assert fund.name == "Fund I"
    assert [funds.find_fund(connection, reference) for reference in ("Fund I", str(fund.id), fund.id)] == [fund] * 3
    assert [found.name for found in funds.list_funds(connection)] == ["Example Fund", "Fund I"]


def test_who_adds_a_fund_owns_it(connection: Connection) -> None:
    local = funds.local_user_id(connection)
    fund = funds.add_fund(connection, "Fund I", local)
    assert funds.list_members(connection, fund.id) == [Member(local, "local", FundRole.OWNER)]


@pytest.mark.parametrize("reference", ["Fund", "example fund", "", UUID(int=1)])
def test_an_unknown_fund_is_not_found(connection: Connection, reference: str | UUID) -> None:
    with pytest.raises(NotFound, match="fund = "):
        funds.find_fund(connection, reference)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "two\nlines", str(EXAMPLE_FUND_ID)])
def test_a_name_that_cannot_be_a_funds_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(BadInput, match="fund name"):
        funds.add_fund(connection, name, funds.local_user_id(connection))


def test_of_two_funds_of_one_name_the_second_is_refused(engine: Engine) -> None:
    def add(conn: Connection, _number: int) -> bool:
        try:
            funds.add_fund(conn, "Fund I", funds.local_user_id(conn))
        except Conflict:
            return False
        return True

    assert sorted(race(engine, 2, add)) == [False, True]


def test_adding_a_member_says_whether_it_changed_anything(connection: Connection) -> None:
    def add(role: FundRole) -> bool:
        return funds.add_member(connection, EXAMPLE_FUND_ID, "Ada", role)

    assert [add(FundRole.MEMBER), add(FundRole.MEMBER), add(FundRole.VIEWER)] == [True, False, True]
    assert [(member.user_name, member.role) for member in funds.list_members(connection, EXAMPLE_FUND_ID)] == [
        ("Ada", FundRole.VIEWER),
        ("local", FundRole.OWNER),
    ]


def test_a_user_is_one_user_in_all_funds(connection: Connection) -> None:
    fund = funds.add_fund(connection, "Fund I", funds.local_user_id(connection))
    for fund_id in (fund.id, EXAMPLE_FUND_ID):
        assert funds.add_member(connection, fund_id, "Ada", FundRole.MEMBER)
    members = [funds.list_members(connection, fund_id)[0] for fund_id in (fund.id, EXAMPLE_FUND_ID)]
    assert members[0] == members[1]


def test_a_missing_local_user_is_not_invented(connection: Connection) -> None:
    connection.execute(text("UPDATE users SET name = 'remote' WHERE name = 'local'"))
    with pytest.raises(NotFound, match="user = 'local'"):
        funds.local_user_id(connection)
