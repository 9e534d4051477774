from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict
from core.request import parse_request
from db.audit import Actor, list_entries, record
from db.bootstrap import prepare_database
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID, LOCAL_USER, local_user_id
from db.requests import cancel_session, invalidate_matrix, submit_request
from db.tables.access import Action
from tests.db.store.examples import bridge_session, matrix_key, store_matrix
from tests.small_request import SMALL

SOMEBODY = Actor(None, "Prefect")


def test_asking_once_leaves_one_entry_however_often_it_is_repeated(engine: Engine) -> None:
    prepare_database(engine)

    def ask(request: dict[str, Any]) -> UUID:
        with transaction(engine) as conn:
            created = submit_request(
                conn,
                parse_request(request),
                created_by=local_user_id(conn),
                credential="token t",
                driver="bridge",
                client_key="click",
            )
        return created.session.session_id

    session_id = ask(SMALL)
    assert ask(SMALL) == session_id
    with pytest.raises(Conflict):
        ask({**SMALL, "cvarLimit": 0.123})
    with transaction(engine) as conn:
        (entry,) = list_entries(conn, before=None, limit=10)
    assert (entry.action, entry.user_name, entry.credential) == (Action.SESSION_REQUESTED, LOCAL_USER, "token t")
    assert (entry.session_id, entry.fund_id) == (session_id, EXAMPLE_FUND_ID)


def test_a_cancel_is_on_record_with_who_and_why_once(connection: Connection) -> None:
    session_id = bridge_session(connection)
    assert cancel_session(connection, session_id, "a mistake", SOMEBODY)
    assert not cancel_session(connection, session_id, "again", SOMEBODY)
    (entry,) = list_entries(connection, before=None, limit=10)
    assert (entry.action, entry.user_name, entry.session_id) == (Action.SESSION_CANCELLED, None, session_id)
    assert (entry.credential, entry.detail) == ("Prefect", "a mistake")


def test_a_forgotten_matrix_is_on_record_and_one_that_was_not_there_is_not(connection: Connection) -> None:
    key = matrix_key("forgotten")
    assert not invalidate_matrix(connection, key, SOMEBODY)
    store_matrix(connection, key)
    assert invalidate_matrix(connection, key, SOMEBODY)
    assert [entry.matrix_key for entry in list_entries(connection, before=None, limit=10)] == [key]


def test_the_newest_come_first_page_by_page(connection: Connection) -> None:
    for number in range(5):
        record(connection, SOMEBODY, Action.LOGGED_IN, detail=str(number))
    first = list_entries(connection, before=None, limit=3)
    second = list_entries(connection, before=first[-1].entry_id, limit=3)
    assert [entry.detail for entry in (*first, *second)] == ["4", "3", "2", "1", "0"]


def test_a_reader_sees_what_he_did_and_what_concerns_his_funds(connection: Connection) -> None:
    user = local_user_id(connection)
    elsewhere = uuid4()
    session_id, key = bridge_session(connection), matrix_key("example")  # the session's own matrix
    store_matrix(connection, key)
    cancel_session(connection, session_id, "of his fund", SOMEBODY)
    invalidate_matrix(connection, key, SOMEBODY)
    record(connection, Actor(user, "page"), Action.LOGGED_IN)
    record(connection, SOMEBODY, Action.SESSION_REQUESTED, session_id=uuid4(), fund_id=elsewhere)
    record(connection, SOMEBODY, Action.MATRIX_INVALIDATED, matrix_key=matrix_key("of others"))
    seen = list_entries(connection, reader=user, before=None, limit=10)
    expected = [Action.LOGGED_IN, Action.MATRIX_INVALIDATED, Action.SESSION_CANCELLED]
    assert [entry.action for entry in seen] == expected
    assert len(list_entries(connection, before=None, limit=10)) == 5


@pytest.mark.parametrize("change", ["UPDATE audit_entries SET detail = ''", "DELETE FROM audit_entries"])
def test_nobody_changes_what_was_recorded(connection: Connection, change: str) -> None:
    record(connection, SOMEBODY, Action.LOGGED_IN)
    with pytest.raises(IntegrityError, match="stays as it was written"):
        connection.execute(text(change))
