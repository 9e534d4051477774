"""The progress of a running session on standard error, read from its row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine

from core.errors import Unavailable
from core.session_states import NEXT_STATUS, SessionStatus
from db.engine import transaction
from db.session_rows import SessionRow
from db.sessions import load_session
from deployments.cli import terminal

REFRESH_S = 0.25

STAGES = {
    SessionStatus.REQUESTED: "waiting",
    SessionStatus.MATRIX_GENERATING: "simulating the scenarios",
    SessionStatus.OPTIMIZING: "optimizing",
    SessionStatus.VALIDATING: "validating out of sample",
    SessionStatus.COMPLETED: "done",
    SessionStatus.FAILED: "failed",
}


@contextmanager
def watching(engine: Engine, session_id: UUID) -> Iterator[None]:
    """Shows each stage of the session with its time while the block lasts."""
    ended = threading.Event()
    view = _StageView()
    thread = threading.Thread(target=_follow, args=(engine, session_id, view, ended), daemon=True)
    with view.progress:
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def follow(engine: Engine, session_id: UUID) -> None:
    """Shows each stage of the session until it has ended. Raises NotFound; a database that is away is waited for."""
    view = _StageView()
    with view.progress:
        for session in _looks(engine, session_id, view.say):
            view.show(session)


def changes(engine: Engine, session_id: UUID) -> Iterator[SessionRow]:
    """The session as it is now, and each time that its status, epoch or progress has changed, until it has ended."""
    last: tuple[object, ...] | None = None
    for session in _looks(engine, session_id, terminal.say):
        current = (session.status, session.epoch, session.progress)
        if current != last:
            yield session
        last = current


def _looks(engine: Engine, session_id: UUID, say: Callable[[str], None]) -> Iterator[SessionRow]:
    """Looks again and again, the last time when the session has ended."""
    while True:
        try:
            with transaction(engine) as conn:
                session = load_session(conn, session_id)
        except Unavailable:
            say("the database is away")
        else:
            yield session
            if session.status.terminal:
                return
        time.sleep(REFRESH_S)


def _follow(engine: Engine, session_id: UUID, view: _StageView, ended: threading.Event) -> None:
    while True:
        last = ended.wait(REFRESH_S)
        try:
            with transaction(engine) as conn:
                view.show(load_session(conn, session_id))
        except Unavailable:
            view.say("the database is away")
        if last:
            return


class _StageView:
    """One line a stage; finished ones keep the time that they took."""

    def __init__(self) -> None:
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=terminal.notes,
        )
        self._status: SessionStatus | None = None
        self._line = self.progress.add_task("starting", total=1)

    def show(self, session: SessionRow) -> None:
        if session.status is not self._status:
            self._enter(session.status)
        if not session.status.terminal:
            self.say(describe(session.status, session.progress))

    def say(self, text: str) -> None:
        self.progress.update(self._line, description=text)

    def _enter(self, status: SessionStatus) -> None:
        before, self._status = self._status, status
        if before is None:
            return  # the first look: what came before was not in this run
        self.progress.update(self._line, completed=1, description=STAGES[before])
        if status is SessionStatus.FAILED:
            return
        # A stage shorter than the refresh is shown all the same, as done.
        passed = NEXT_STATUS[before]
        while passed is not status:
            line = self.progress.add_task(STAGES[passed], total=1)
            self.progress.update(line, completed=1)  # only an update stops its clock
            passed = NEXT_STATUS[passed]
        if not status.terminal:
            self._line = self.progress.add_task(STAGES[status], total=1)


def describe(status: SessionStatus, progress: Mapping[str, Any] | None) -> str:
    """The stage, its step, and how near the proof is."""
    parts = [STAGES[status]]
    if progress and progress.get("step"):
        parts.append(str(progress["step"]))
    objective, bound = (progress or {}).get("objective"), (progress or {}).get("bound")
    if objective is not None and bound is not None:
        parts.append(f"best {objective:.4f}, at most {bound:.4f}")
    return ": ".join(parts[:2]) + "".join(f" ({part})" for part in parts[2:])
