"""A request that was checked before its servers were up is not resolved a second time when it is stored."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from core.request import parse_request
from db.bootstrap import prepare_database
from db.engine import transaction
from db.funds import local_user_id
from db.requests import resolve_request, submit_request
from db.sessions import load_session
from tests.small_request import SMALL


def test_what_was_resolved_is_stored_without_reading_the_calibration_again(engine: Engine) -> None:
    prepare_database(engine)
    request = parse_request(SMALL)
    read: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if "calibration_snapshots" in statement:
            read.append(statement)

    with transaction(engine) as conn:
        resolved = resolve_request(conn, request)
    event.listen(engine, "before_cursor_execute", note)
    with transaction(engine) as conn:
        named = {"created_by": local_user_id(conn), "credential": "test", "driver": "bridge"}
        session_id = submit_request(conn, request, **named, resolved=resolved).session.session_id
        assert read == []
        again = submit_request(conn, request, **named).session.session_id
        assert read != []
        first, second = load_session(conn, session_id), load_session(conn, again)
    assert (first.normalized_config, first.matrix_key) == (second.normalized_config, second.matrix_key)
