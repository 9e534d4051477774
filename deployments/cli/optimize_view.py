"""The optimum on a given matrix as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from core.figures import FIGURES
from deployments.cli.result_view import (
    allocation_table,
    constraints_table,
    price_lines,
    proof_lines,
    relaxation_lines,
)


def render_optimum(document: Mapping[str, Any], console: Console) -> None:
    """Like a session's result, without what only fresh scenarios could tell."""
    console.print(allocation_table(document["allocation"]))
    console.print(_figures_table(document))
    console.print(constraints_table(document["constraints"]))
    matrix, solver = document["matrix"], document["solver"]
    effort = (
        f"First pass {solver['pass1Seconds']:.2f} s, second pass {solver['pass2Seconds']:.2f} s, on "
        f"{matrix['buckets']} buckets x {matrix['scenarios']} scenarios. Not tested on other scenarios."
    )
    lines = (
        *price_lines(document["constraints"], solver),
        *relaxation_lines(document["relaxations"], document["conflict"]),
        *proof_lines(document),
        effort,
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _figures_table(document: Mapping[str, Any]) -> Table:
    table = Table(title="Expected outcome on the matrix", title_justify="left")
    table.add_column("")
    table.add_column("in sample", justify="right")
    for each in FIGURES:
        table.add_row(each.label, each.shown(document[each.name]))
    return table
