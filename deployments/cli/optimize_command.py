"""`vcfolio optimize`: the best portfolio on a matrix of one's own, without a database and without Prefect."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from core.errors import BadInput
from core.matrix.external_matrix import configure, unread_fields
from core.pipeline import Optimized, optimize
from core.portfolio.strict import evaluate
from core.request.normalized_config import NormalizedConfig
from core.result.assemble import matrix_result_of
from core.result.build import deals_from, figures_of
from core.result.model import MatrixFacts, MatrixResult
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl, SolveProgress
from deployments.cli import terminal
from deployments.cli.arguments import AsJson
from deployments.cli.interruptible import run_interruptibly
from deployments.cli.optimize_view import render_optimum
from deployments.cli.request_file import read_request
from deployments.matrix_reader import MatrixFile, read_matrix


def optimize_external(
    *,
    matrix: Annotated[Path, typer.Option(help="Scenario matrix as Parquet, in the form that `simulate` writes.")],
    request: Annotated[Path, typer.Option(help="Request as JSON; its limits and fund size count here.")],
    backend: Annotated[str, typer.Option(help="auto, branch-and-bound or highs.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Raises BadInput for request, matrix and backend before anything is solved."""
    try:
        solver = make_backend(backend)
    except BadInput as error:
        raise BadInput.of("--backend", backend, error.problems[0].rule) from None
    parsed = read_request(request)
    file = read_matrix(matrix)
    config = configure(parsed, file.given, file.provenance)
    _say_what_is_not_taken_literally(file, unread_fields(parsed))
    stopped = threading.Event()
    found: list[Optimized] = []

    def interrupted() -> Interruption | None:
        return "cancelled" if stopped.is_set() else None

    with terminal.notes.status("optimizing ...") as status:

        def progress(now: SolveProgress) -> None:
            if now.objective is not None:
                status.update(f"optimizing (best {now.objective:.4f}, at most {now.bound:.4f}) ...")

        control = SolveControl(work_limit=config.work_limit, interrupted=interrupted, progress=progress)

        def work() -> None:
            found.append(optimize(config, file.given.matrix, control, backend=solver))

        run_interruptibly(work, give_up=stopped.set)
    result = _result(config, found[0], file)
    if as_json:
        terminal.print_json(result.as_json())
    else:
        render_optimum(result, terminal.output)


def _result(config: NormalizedConfig, optimized: Optimized, file: MatrixFile) -> MatrixResult:
    matrix = file.given.matrix
    deals = deals_from(optimized.allocation, config)
    bought = evaluate(deals.weights, matrix, config, deals.cash_weight)
    return matrix_result_of(
        config=config,
        allocation=optimized.allocation,
        optimization=optimized.optimization,
        whole_deals=figures_of(bought),
        pass1_e_star=optimized.pass1_e_star,
        matrix=MatrixFacts(
            buckets=matrix.n_buckets, scenarios=matrix.n_scenarios, matrix_key=file.provenance.get("matrix_key")
        ),
    )


def _say_what_is_not_taken_literally(file: MatrixFile, unread: list[str]) -> None:
    if unread:
        terminal.say(f"note: the matrix is given, so {', '.join(unread)} of the request are not read")
    if file.rounded:
        terminal.say("note: multiples are rounded to single precision, as in every matrix of vcfolio")
