"""The optimum on a matrix of the user's own, as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from core.result.model import MatrixResult
from core.result.wording import FIGURES
from deployments.cli.result_view import (
    allocation_table,
    constraints_table,
    explanation_lines,
    print_purchases,
    print_verdict,
)


def render_optimum(result: MatrixResult, console: Console) -> None:
    """Like a session's result, without what only scenarios out of sample could tell."""
    print_verdict(result.verdict, console)
    print_purchases(result.allocation, console)
    console.print(allocation_table(result.allocation))
    console.print(_figures_table(result))
    console.print(constraints_table(result.constraints))
    solver = result.solver
    second = "" if solver.pass2_seconds is None else f", tie-break {solver.pass2_seconds:.2f} s"
    effort = (
        f"Primary solve {solver.pass1_seconds:.2f} s{second}, on {result.matrix.buckets} buckets x "
        f"{result.matrix.scenarios} scenarios."
    )
    for line in (*explanation_lines(result), effort):
        console.print(line, markup=False, soft_wrap=True)


def _figures_table(result: MatrixResult) -> Table:
    table = Table(title="Expected outcome on the matrix", title_justify="left")
    table.add_column("")
    table.add_column("in sample", justify="right")
    for figure in FIGURES:
        table.add_row(figure.label, figure.shown(figure.of(result)))
    return table
