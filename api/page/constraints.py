"""The constraint report: which limits bind, which were relaxed, why, and what one more step of each would gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.result import model
from core.result.model import Constraint, Result
from core.result.sentences import price_sentence
from core.result.wording import constraint_limit, constraint_name, constraint_value

State = Literal["relaxed", "broken", "binding", "free"]

STATES: Mapping[State, tuple[str, str]] = {
    "relaxed": ("▲", "Relaxed"),
    "broken": ("✕", "Not met"),
    "binding": ("■", "Binding"),
    "free": ("○", "Room left"),
}
"""A shape and words for each, since color alone tells nothing to many readers."""


@dataclass(frozen=True, slots=True)
class ConstraintRow:
    constraint_id: str
    name: str
    state: State
    mark: str
    word: str
    asked: str
    enforced: str
    actual: str
    room: str
    gain: str
    explanation: str


@dataclass(frozen=True, slots=True)
class SingleLimitRepair:
    name: str
    asked: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ConstraintReport:
    """rows: what was relaxed first, then what binds, then the others.

    single_limit_repairs: why, where limits conflicted.
    """

    rows: tuple[ConstraintRow, ...]
    conflict: tuple[str, ...]
    single_limit_repairs: tuple[SingleLimitRepair, ...]
    prices_complete: bool


def constraint_report(result: Result) -> ConstraintReport:
    explanations = {moved.constraint_id: moved.explanation for moved in result.relaxations}
    rows = [_row(entry, explanations.get(entry.constraint_id, "")) for entry in result.constraints]
    order = list(STATES)
    conflict = result.conflict
    return ConstraintReport(
        rows=tuple(sorted(rows, key=lambda row: order.index(row.state))),
        conflict=() if conflict is None else tuple(constraint_name(name) for name in conflict.constraints),
        single_limit_repairs=()
        if conflict is None
        else tuple(_repair(repair) for repair in conflict.single_limit_repairs),
        prices_complete=result.solver.prices_complete is not False,
    )


def _row(entry: Constraint, explanation: str) -> ConstraintRow:
    state = _state(entry)
    mark, word = STATES[state]
    return ConstraintRow(
        constraint_id=entry.constraint_id,
        name=constraint_name(entry.constraint_id),
        state=state,
        mark=mark,
        word=word,
        asked=constraint_limit(entry.type, entry.asked),
        enforced=constraint_limit(entry.type, entry.required),
        actual=constraint_value(entry.type, entry.actual),
        room=constraint_value(entry.type, entry.slack),
        gain=price_sentence(entry) or "",
        explanation=explanation,
    )


def _state(entry: Constraint) -> State:
    if not entry.satisfied:
        return "broken"
    if entry.relaxed_from is not None:
        return "relaxed"
    return "binding" if entry.binding else "free"


def _repair(repair: model.SingleLimitRepair) -> SingleLimitRepair:
    kind = repair.constraint_id.partition(":")[0]
    return SingleLimitRepair(
        constraint_name(repair.constraint_id), constraint_limit(kind, repair.asked), repair.explanation
    )
