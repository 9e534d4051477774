from __future__ import annotations

from datetime import UTC
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from db.events import count_events, events_of, record_event
from db.tables.events import EventKind
from tests.db.store.examples import bridge_session


def test_events_are_read_in_the_order_in_which_they_happened(connection: Connection) -> None:
    session_id, other = bridge_session(connection), bridge_session(connection)
    happened = [(0, EventKind.RESCUED, "its lease ran out"), (1, EventKind.RESUMED, ""), (2, EventKind.CANCELLED, "ü")]
    for epoch, kind, detail in happened:
        record_event(connection, session_id, epoch, kind, detail)
        record_event(connection, other, epoch, EventKind.REVIVED, "another session's")
    events = events_of(connection, session_id)
    assert [(event.epoch, event.kind, event.detail) for event in events] == happened
    assert all(event.created_at.tzinfo is not None and event.created_at.astimezone(UTC) for event in events)
    assert events_of(connection, uuid4()) == []


def test_every_kind_is_counted_over_all_sessions(connection: Connection) -> None:
    assert count_events(connection) == dict.fromkeys(EventKind, 0)
    for session_id in (bridge_session(connection), bridge_session(connection)):
        for kind in EventKind:
            record_event(connection, session_id, 0, kind, "because")
        record_event(connection, session_id, 1, EventKind.RESCUED, "again")
    assert count_events(connection) == dict.fromkeys(EventKind, 2) | {EventKind.RESCUED: 4}


def test_an_event_belongs_to_a_session_and_goes_with_it(connection: Connection) -> None:
    session_id = bridge_session(connection)
    record_event(connection, session_id, 0, EventKind.RESCUED, "because")
    connection.execute(text("DELETE FROM optimization_sessions"))
    assert events_of(connection, session_id) == []
    with pytest.raises(IntegrityError, match="fk_session_events_session_id"):
        record_event(connection, session_id, 0, EventKind.RESCUED, "because")


@pytest.mark.parametrize(("epoch", "kind", "rule"), [(-1, "rescued", "chk_epoch"), (0, "exploded", "chk_kind")])
def test_an_event_that_cannot_be_is_refused(connection: Connection, epoch: int, kind: str, rule: str) -> None:
    session_id = bridge_session(connection)
    with pytest.raises(IntegrityError, match=rule):
        connection.execute(
            text("INSERT INTO session_events (session_id, epoch, kind, detail) VALUES (:id, :epoch, :kind, '')"),
            {"id": session_id, "epoch": epoch, "kind": kind},
        )
