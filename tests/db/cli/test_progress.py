"""The lines that tell how far a session is."""

from __future__ import annotations

from sqlalchemy import Engine

from core.session_states import SessionStatus
from db.bootstrap import prepare_database
from db.engine import transaction
from db.session_rows import SessionRow
from db.sessions import load_session
from deployments.cli.progress import STAGES, _StageView
from tests.db.page.carried_out import carried_out


def test_stages_that_nobody_saw_begin_are_shown_as_done(engine: Engine) -> None:
    prepare_database(engine)

    def at(status: SessionStatus) -> SessionRow:
        session_id = carried_out(engine, status)
        with transaction(engine) as conn:
            return load_session(conn, session_id)

    view = _StageView()
    for status in (SessionStatus.REQUESTED, SessionStatus.VALIDATING):
        view.show(at(status))
    assert [(line.description.partition(":")[0], line.finished) for line in view.progress.tasks] == [
        (STAGES[SessionStatus.REQUESTED], True),
        (STAGES[SessionStatus.MATRIX_GENERATING], True),
        (STAGES[SessionStatus.OPTIMIZING], True),
        (STAGES[SessionStatus.VALIDATING], False),
    ]
