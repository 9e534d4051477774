from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from core.errors import BadInput, Conflict, NotFound
from db import access
from db.access import PAGE_SCOPES, Principal
from db.funds import EXAMPLE_FUND_ID, LOCAL_USER, add_member, local_user_id
from db.tables.access import Scope
from db.tables.owners import FundRole

DAY = timedelta(days=1)


def _token(conn: Connection, name: str = "nightly", scopes: tuple[Scope, ...] = (Scope.READ,)) -> str:
    return access.create_token(conn, user_name=LOCAL_USER, name=name, scopes=scopes, lifetime=DAY)[1]


def _age(conn: Connection, table: str) -> None:
    conn.execute(text(f"UPDATE {table} SET created_at = created_at - interval '2 d', expires_at = now()"))


def test_a_token_tells_who_asks_and_what_they_may(connection: Connection) -> None:
    token, secret = access.create_token(
        connection, user_name=LOCAL_USER, name=" nightly ", scopes=[Scope.REQUEST, Scope.READ], lifetime=DAY
    )
    assert secret.startswith("vcf_")
    assert len(secret) == 47
    assert token.name == "nightly"
    assert token.scopes == (Scope.READ, Scope.REQUEST)
    assert token.expires_at - token.created_at == DAY
    found = access.token_principal(connection, secret)
    user = local_user_id(connection)
    assert found == Principal(user, LOCAL_USER, frozenset({Scope.READ, Scope.REQUEST}), "token nightly")
    assert found.actor.user_id == user


def test_no_secret_is_stored(connection: Connection) -> None:
    code = access.create_login_link(connection, LOCAL_USER, DAY)
    second = access.create_login_link(connection, LOCAL_USER, DAY)
    secrets = [_token(connection), code, second, access.redeem_login_link(connection, second, DAY)]
    stored = "".join(
        str(connection.execute(text(f"SELECT * FROM {table}")).all())
        for table in ("access_tokens", "login_links", "page_sessions")
    )
    assert "nightly" in stored
    assert not any(str(secret) in stored for secret in secrets)


def test_a_token_that_is_unknown_expired_or_revoked_opens_nothing(connection: Connection) -> None:
    assert access.token_principal(connection, "vcf_unknown") is None
    secret = _token(connection)
    (token,) = access.list_tokens(connection)
    assert access.revoke_token(connection, token.token_id)
    assert access.token_principal(connection, secret) is None
    assert not access.revoke_token(connection, token.token_id)
    assert not access.revoke_token(connection, uuid4())
    secret = _token(connection)
    _age(connection, "access_tokens")
    assert access.token_principal(connection, secret) is None


def test_a_name_is_free_again_once_its_token_is_revoked(connection: Connection) -> None:
    _token(connection)
    with pytest.raises(Conflict, match="has a token of this name; revoke it first"):
        _token(connection)
    (first,) = access.list_tokens(connection)
    access.revoke_token(connection, first.token_id)
    assert access.token_principal(connection, _token(connection)) is not None
    assert len(access.list_tokens(connection)) == 2


def test_last_use_is_noted_to_the_minute(connection: Connection) -> None:
    secret = _token(connection)
    assert access.list_tokens(connection)[0].last_used_at is None
    access.token_principal(connection, secret)
    assert access.list_tokens(connection)[0].last_used_at is not None
    connection.execute(text("UPDATE access_tokens SET last_used_at = now() - interval '59 s'"))
    before = access.list_tokens(connection)[0].last_used_at
    access.token_principal(connection, secret)
    assert access.list_tokens(connection)[0].last_used_at == before
    connection.execute(text("UPDATE access_tokens SET last_used_at = now() - interval '61 s'"))
    access.token_principal(connection, secret)
    assert access.list_tokens(connection)[0].last_used_at != before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "  "}, "token name"),
        ({"name": "a\nb"}, "token name"),
        ({"name": "x" * 201}, "token name"),
        ({"scopes": []}, "scopes"),
        ({"lifetime": timedelta(0)}, "lifetime"),
        ({"lifetime": timedelta(days=367)}, "lifetime"),
    ],
)
def test_a_token_that_cannot_be_is_refused_by_name(
    connection: Connection, changes: dict[str, object], field: str
) -> None:
    asked = {"user_name": LOCAL_USER, "name": "nightly", "scopes": [Scope.READ], "lifetime": DAY, **changes}
    with pytest.raises(BadInput) as caught:
        access.create_token(connection, **asked)  # type: ignore[arg-type]
    assert [problem.field for problem in caught.value.problems] == [field]
    assert access.list_tokens(connection) == []


def test_a_user_nobody_knows_gets_neither_token_nor_link(connection: Connection) -> None:
    with pytest.raises(NotFound, match="no user has this name"):
        access.create_token(connection, user_name="nobody", name="t", scopes=[Scope.READ], lifetime=DAY)
    with pytest.raises(NotFound, match="no user has this name"):
        access.create_login_link(connection, "nobody", DAY)


def test_a_login_link_logs_in_once(connection: Connection) -> None:
    code = access.create_login_link(connection, LOCAL_USER, DAY)
    secret = access.redeem_login_link(connection, code, DAY)
    assert secret is not None
    found = access.page_session(connection, secret)
    assert found is not None
    assert found.principal == Principal(local_user_id(connection), LOCAL_USER, PAGE_SCOPES, "page")
    assert access.redeem_login_link(connection, code, DAY) is None
    assert access.redeem_login_link(connection, "unknown", DAY) is None


def test_a_login_link_that_has_expired_logs_nobody_in(connection: Connection) -> None:
    code = access.create_login_link(connection, LOCAL_USER, DAY)
    _age(connection, "login_links")
    assert access.redeem_login_link(connection, code, DAY) is None
    assert connection.scalar(text("SELECT count(*) FROM page_sessions")) == 0


def test_a_page_session_ends_by_logging_out_and_by_its_time(connection: Connection) -> None:
    secrets = [
        access.redeem_login_link(connection, access.create_login_link(connection, LOCAL_USER, DAY), DAY) or ""
        for _ in range(2)
    ]
    access.end_page_session(connection, secrets[0])
    access.end_page_session(connection, secrets[0])
    assert [access.page_session(connection, secret) is None for secret in secrets] == [True, False]
    _age(connection, "page_sessions")
    assert access.page_session(connection, secrets[1]) is None
    assert access.page_session(connection, "") is None


def test_what_a_form_carries_is_the_sessions_own_and_not_made_from_its_secret(connection: Connection) -> None:
    secrets = [
        access.redeem_login_link(connection, access.create_login_link(connection, LOCAL_USER, DAY), DAY) or ""
        for _ in range(2)
    ]
    tokens = [session.csrf_token for secret in secrets if (session := access.page_session(connection, secret))]
    again = [session.csrf_token for secret in secrets if (session := access.page_session(connection, secret))]
    assert tokens == again
    assert len({*tokens, *secrets}) == 4
    derived = {hashlib.sha256(prefix + secret.encode()).hexdigest() for secret in secrets for prefix in (b"", b"csrf:")}
    assert not derived & set(tokens)


def test_of_what_is_worthless_only_what_is_old_goes(connection: Connection) -> None:
    spent = access.create_login_link(connection, LOCAL_USER, DAY)
    page = access.redeem_login_link(connection, spent, DAY)
    secret = _token(connection)
    assert page is not None
    assert access.delete_spent_access(connection, ended_s=3600, limit=100) == 0
    assert access.delete_spent_access(connection, ended_s=-1, limit=100) == 1  # the link alone is spent
    for table in ("access_tokens", "page_sessions"):
        _age(connection, table)
    assert access.delete_spent_access(connection, ended_s=-1, limit=100) == 2
    assert access.token_principal(connection, secret) is None


def test_tokens_of_several_users_are_listed_by_user(connection: Connection) -> None:
    add_member(connection, EXAMPLE_FUND_ID, "ann", FundRole.VIEWER)
    _token(connection)
    access.create_token(connection, user_name="ann", name="nightly", scopes=[Scope.ADMIN], lifetime=DAY)
    assert [(token.user_name, token.scopes) for token in access.list_tokens(connection)] == [
        ("ann", (Scope.ADMIN,)),
        (LOCAL_USER, (Scope.READ,)),
    ]
