"""The constraint report: which limits bind, which gave way, why, and what one more step of each would gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from api.page.figures import constraint_name, constraint_value, percent, signed_multiple

State = Literal["relaxed", "broken", "binding", "free"]

STATES: Mapping[State, tuple[str, str]] = {
    "relaxed": ("▲", "Gave way"),
    "broken": ("✕", "Not met"),
    "binding": ("■", "Binding"),
    "free": ("○", "Room left"),
}
"""A shape and words for each, since color alone tells nothing to many readers."""

PROVEN_GAIN = 5e-5
"""An interval narrower than what is printed is no news."""


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
    """rows: what gave way first, then what binds, then the others.

    single_limit_repairs: why, where limits conflicted.
    """

    rows: tuple[ConstraintRow, ...]
    conflict: tuple[str, ...]
    single_limit_repairs: tuple[SingleLimitRepair, ...]
    prices_complete: bool


def constraint_report(result: Mapping[str, Any]) -> ConstraintReport:
    explanations = {entry["constraintId"]: entry["explanation"] for entry in result["relaxations"]}
    rows = [_row(entry, explanations.get(entry["constraintId"], "")) for entry in result["constraints"]]
    order = list(STATES)
    conflict = result["conflict"]
    return ConstraintReport(
        rows=tuple(sorted(rows, key=lambda row: order.index(row.state))),
        conflict=() if conflict is None else tuple(constraint_name(name) for name in conflict["constraints"]),
        single_limit_repairs=() if conflict is None else tuple(_repair(way) for way in conflict["waysOut"]),
        prices_complete=result["solver"].get("pricesComplete") is not False,
    )


def _row(entry: Mapping[str, Any], explanation: str) -> ConstraintRow:
    kind = entry["type"]
    state = _state(entry)
    mark, word = STATES[state]
    asked = entry["required"] if entry["relaxedFrom"] is None else entry["relaxedFrom"]
    return ConstraintRow(
        constraint_id=entry["constraintId"],
        name=constraint_name(entry["constraintId"]),
        state=state,
        mark=mark,
        word=word,
        asked=constraint_value(kind, asked),
        enforced=constraint_value(kind, entry["required"]),
        actual=constraint_value(kind, entry["actual"]),
        room=constraint_value(kind, entry["slack"]),
        gain=gain_in_words(entry),
        explanation=explanation,
    )


def _state(entry: Mapping[str, Any]) -> State:
    if not entry["satisfied"]:
        return "broken"
    if entry["relaxedFrom"] is not None:
        return "relaxed"
    return "binding" if entry["binding"] else "free"


def gain_in_words(entry: Mapping[str, Any]) -> str:
    """What one step of the limit would add to the expected multiple; empty where it costs nothing."""
    price = entry["price"]
    if price is None:
        return ""
    if price["basis"] == "one_more_losing_scenario":
        text = f"{signed_multiple(price['gain'], 4)} for one more losing scenario"
        if price["gainAtMost"] - price["gainAtLeast"] > PROVEN_GAIN:
            text += f" (proven: {price['gainAtLeast']:.4f} to {price['gainAtMost']:.4f})"
        return text
    step = price["step"]
    winners = entry["type"] == "expected_winners_min"
    unit = f"{step:g} expected winners" if winners else f"{percent(step, 0)[:-1]} percentage point"
    return f"{signed_multiple(price['gain'], 4)} for {unit} looser"


def _repair(way: Mapping[str, Any]) -> SingleLimitRepair:
    kind = way["constraintId"].partition(":")[0]
    asked = constraint_value(kind, way["asked"])
    return SingleLimitRepair(constraint_name(way["constraintId"]), asked, way["explanation"])
