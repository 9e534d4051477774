"""Tokens and login links that cannot be."""

from __future__ import annotations

import pytest

from tests.command_line import CommandLineInProcess, Vcfolio

pytestmark = pytest.mark.xdist_group("cli")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("token", "add", "x", "--scope", "all"), "--scope = 'all': must be one of read, request, admin"),
        (("token", "add", "x", "--user", "nobody"), "user = 'nobody': no user has this name"),
        (("token", "add", "x", "--days", "0"), "--days = 0.0: must be above 0 and at most 366"),
        (("token", "add", "x", "--days", "nan"), "--days = nan: must be above 0 and at most 366"),
        (("token", "add", " "), "token name = '': must have 1 to 200 printable characters"),
        (("token", "revoke", "x"), "TOKEN_ID = 'x': must be a UUID"),
        (("token", "revoke", "00000000-0000-4000-8000-00000000dead"), "no token that is not revoked has this id"),
        (("login", "nobody"), "user = 'nobody': no user has this name"),
    ],
)
def test_what_cannot_be_is_refused_by_name(vcfolio: Vcfolio, arguments: tuple[str, ...], problem: str) -> None:
    before = vcfolio.json("token", "list", "--json")
    output, notes = vcfolio.call(*arguments, code=2)
    assert output == ""
    assert problem in notes
    assert vcfolio.json("token", "list", "--json") == before


def test_login_prints_the_password_of_prefects_page(vcfolio: CommandLineInProcess) -> None:
    password, notes = vcfolio.call("login", "--prefect")
    assert vcfolio.prefect_api is not None
    assert password.strip() == vcfolio.prefect_api.auth_string
    assert vcfolio.prefect_api.url.removesuffix("/api") in notes
