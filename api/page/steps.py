"""How far a session is: its four steps, each with its time, and within the solve how near the proof is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.page.figures import between, duration
from core.formatting import multiple, percent
from core.session_states import SessionStatus
from db.session_reads import SessionStatusView, SessionSummary

StepState = Literal["done", "now", "next", "stopped"]

MARKS: dict[StepState, tuple[str, str]] = {
    "done": ("✓", "done"),
    "now": ("▶", "in progress"),
    "next": ("○", "to come"),
    "stopped": ("✕", "stopped here"),
}

STATUS_WORDS = {
    SessionStatus.REQUESTED: "Waiting",
    SessionStatus.MATRIX_GENERATING: "Simulating",
    SessionStatus.OPTIMIZING: "Optimizing",
    SessionStatus.VALIDATING: "Testing",
    SessionStatus.COMPLETED: "Completed",
    SessionStatus.FAILED: "Failed",
}

_WHAT_NEXT = {
    "cancelled": "Somebody ended it. Ask again to run the same request, or change it first.",
    "infeasible": "No portfolio meets every limit. Loosen one, or set the relaxation mode to minimal.",
    "no_answer_within_limit": "No portfolio was found within the work limit. Raise the work limit, or loosen a limit.",
    "matrix_failed": "The scenarios could not be generated. The reason says why; a new request generates them again.",
    "max_epochs": "It was lost too often. Ask again; if that fails, too, `vcfolio doctor` says what is wrong.",
}
_ELSE_NEXT = "Submit it again; if that fails, too, tell the operator of vcfolio the reason above."


@dataclass(frozen=True, slots=True)
class Step:
    """since: when it began, in ISO form, for the one that runs now; else empty."""

    title: str
    detail: str
    state: StepState
    mark: str
    word: str
    took: str
    since: str


@dataclass(frozen=True, slots=True)
class Progress:
    title: str
    steps: tuple[Step, ...]
    running: bool
    elapsed: str
    since: str
    queue: str
    proof: tuple[tuple[str, str], ...]
    what_next: str


def status_word(status: SessionStatus, error_code: str | None) -> str:
    """A cancelled session did not fail; somebody wanted it so."""
    return "Cancelled" if error_code == "cancelled" else STATUS_WORDS[status]


def in_a_word(session: SessionStatusView | SessionSummary) -> str:
    return status_word(session.status, session.error_code)


def progress_view(seen: SessionStatusView, now: datetime) -> Progress:
    """now: for what still runs; all other times are the session's own."""
    ended, failed = seen.status.terminal, seen.status is SessionStatus.FAILED
    tested = None if failed else seen.completed_at
    spans = (
        ("Waiting for its turn", "", seen.created_at, seen.matrix_started_at),
        ("Simulating the scenarios", _matrix_words(seen), seen.matrix_started_at, seen.optimization_started_at),
        ("Finding the best portfolio", _search_words(seen), seen.optimization_started_at, seen.validation_started_at),
        ("Testing it out of sample", "", seen.validation_started_at, tested),
    )
    steps = tuple(_step(*span, last_end=seen.completed_at, failed=failed, now=now) for span in spans)
    return Progress(
        title=status_word(seen.status, seen.error_code),
        steps=steps,
        running=not ended,
        elapsed=duration(between(seen.created_at, seen.completed_at or now)),
        since="" if ended else seen.created_at.isoformat(),
        queue=_queue_words(seen),
        proof=_proof(seen),
        what_next=_WHAT_NEXT.get(seen.error_code or "", _ELSE_NEXT) if failed else "",
    )


def _step(
    title: str,
    detail: str,
    start: datetime | None,
    end: datetime | None,
    *,
    last_end: datetime | None,
    failed: bool,
    now: datetime,
) -> Step:
    state: StepState
    if start is None:
        state, took = "next", ""
    elif end is None:
        state, took = (
            ("stopped", duration(between(start, last_end))) if failed else ("now", duration(between(start, now)))
        )
    else:
        state, took = "done", duration(between(start, end))
    mark, word = MARKS[state]
    since = start.isoformat() if state == "now" and start is not None else ""
    return Step(title, detail if state in ("now", "done") else "", state, mark, word, took, since)


def _matrix_words(seen: SessionStatusView) -> str:
    return "found ready-made: nothing to simulate" if seen.matrix_origin == "hit" else ""


def _search_words(seen: SessionStatusView) -> str:
    if seen.status is not SessionStatus.OPTIMIZING or not seen.progress:
        return ""
    return str(seen.progress.get("step") or "")


def _queue_words(seen: SessionStatusView) -> str:
    position = seen.queue_position
    if position is None:
        return ""
    return "It is the next to begin." if position <= 1 else f"{position - 1} before it are waiting, too."


def _proof(seen: SessionStatusView) -> tuple[tuple[str, str], ...]:
    """Best so far, what nothing can exceed, and the gap between them; while the search runs."""
    if seen.status is not SessionStatus.OPTIMIZING:
        return ()
    progress = seen.progress or {}
    best, bound = progress.get("objective"), progress.get("bound")
    rows = []
    if best is not None:
        rows.append(("Best expected multiple so far", multiple(best, 4)))
    if bound is not None:
        rows.append(("Proven: nothing above", multiple(bound, 4)))
    if best is not None and bound is not None and best > 0:
        rows.append(("Gap", percent((bound - best) / best, 2)))
    return tuple(rows)
