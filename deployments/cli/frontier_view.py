"""A frontier as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from core.frontier.document import in_words, is_fraction


def render_frontier(document: Mapping[str, Any], console: Console) -> None:
    """A row for every value, from the tightest to the loosest; what is missing is said below."""
    field, points = document["vary"]["field"], document["points"]
    table = Table(title=f"Frontier: {in_words(field)}", title_justify="left")
    table.add_column(field, justify="right")
    for name in ("expected MOIC", "at most", "gap", "loss prob.", "CVaR", "winners", "largest bucket"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for point in points:
        table.add_row(_value(field, point["value"]), *_figures(point), _remark(point, document["vary"]["asked"]))
    console.print(table)
    for line in _lines(document):
        console.print(line, markup=False, soft_wrap=True)


def _figures(point: Mapping[str, Any]) -> list[str]:
    bound = "" if point["bound"] is None else f"{point['bound']:.4f}x"
    if point["allocation"] is None:
        return ["", bound, "", "", "", "", ""]
    largest = max(point["allocation"], key=lambda entry: entry["weight"])
    return [
        f"{point['pass1EStar']:.4f}x",
        bound,
        "" if point["gap"] is None else f"{point['gap']:.3%}",
        _risk(point, "lossProbability"),
        _risk(point, "cvar"),
        f"{point['expectedWinners']:.2f}",
        f"{largest['bucketId']} {largest['weight']:.1%}",
    ]


def _risk(point: Mapping[str, Any], name: str) -> str:
    """Out of sample, where that is known; its interval is in the JSON, for which a terminal has no room."""
    found = point.get("outOfSample")
    value: float = point[name] if found is None else found[name]["value"]
    return f"{value:.1%}"


def _remark(point: Mapping[str, Any], asked: float | None) -> str:
    remarks = []
    if point["value"] == asked:
        remarks.append("as requested")
    if point["status"] == "infeasible":
        remarks.append("no portfolio exists")
    elif point["status"] == "unknown":
        remarks.append("none found")
    elif point["status"] == "feasible":
        remarks.append("gap still open")
    return ", ".join(remarks)


def _lines(document: Mapping[str, Any]) -> list[str]:
    field, points, solver = document["vary"]["field"], document["points"], document["solver"]
    lines = [document["note"]] if document.get("note") else []
    empty = [point["value"] for point in points if point["status"] == "infeasible"]
    if empty:
        values = ", ".join(_value(field, value) for value in empty)
        among = (
            ", of those that spread evenly over sectors that nothing tells apart" if document.get("evenSectors") else ""
        )
        lines.append(f"Proven: no portfolio meets every limit with {field} at {values}{among}.")
    unknown = [point["value"] for point in points if point["status"] == "unknown"]
    if unknown:
        values = ", ".join(_value(field, value) for value in unknown)
        lines.append(f"Within the work limit none was found or ruled out with {field} at {values}; raise workLimit.")
    if any(point["status"] == "feasible" for point in points):
        lines.append("Where the gap is still open the work limit struck; raise workLimit for a smaller one.")
    if any(point.get("outOfSample") is not None for point in points):
        lines.append("Loss probability and CVaR: in scenarios that no point was chosen on; --json has their intervals.")
    if solver["backend"] is not None:
        lines.append(f"Every portfolio is checked against its limits ({solver['backend']}, {solver['nodes']:,} nodes).")
    if not solver["reproducible"]:
        lines.append("A time limit cut a solve short: this frontier is not reproducible.")
    lines.append(f"Matrix {document['matrixKey']}.")
    return lines


def _value(field: str, value: float) -> str:
    return f"{100.0 * value:.6g}%" if is_fraction(field) else f"{value:.6g}"
