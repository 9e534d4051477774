"""`vcfolio optimize`: the best portfolio on a matrix of one's own, without a database and without Prefect."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import BadInput
from core.matrix.external_matrix import configure, unread_fields
from core.portfolio.documents import allocation_document, solver_document
from core.portfolio.optimize import Optimum, optimize
from core.request.normalized_config import NormalizedConfig
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
    found: list[Optimum] = []

    def interrupted() -> Interruption | None:
        return "cancelled" if stopped.is_set() else None

    with terminal.notes.status("optimizing ...") as status:

        def progress(now: SolveProgress) -> None:
            if now.objective is not None:
                status.update(f"optimizing (best {now.objective:.4f}, at most {now.bound:.4f}) ...")

        control = SolveControl(work_limit=config.work_limit, interrupted=interrupted, progress=progress)

        def work() -> None:
            found.append(optimize(config, file.given.matrix, solver, control, clock=time.perf_counter))

        run_interruptibly(work, give_up=stopped.set)
    document = _document(config, found[0], file)
    if as_json:
        terminal.print_json(document)
    else:
        render_optimum(document, terminal.output)


def _document(config: NormalizedConfig, optimum: Optimum, file: MatrixFile) -> dict[str, Any]:
    """The fields of a session's result that need neither session nor simulation."""
    solved = solver_document(optimum)
    return {
        **solved["figures"],
        "allocation": allocation_document(config, optimum.weights),
        "constraints": solved["constraints"],
        "relaxations": solved["relaxations"],
        "conflict": solved["conflict"],
        "solver": solved["solver"],
        "pass1EStar": optimum.first_objective,
        "primaryLockEpsilon": config.primary_lock_epsilon,
        "matrix": {
            "buckets": file.given.matrix.n_buckets,
            "scenarios": file.given.matrix.n_scenarios,
            "matrixKey": file.provenance.get("matrix_key"),
        },
        "calibrationVersion": config.calibration_version,
        "modelVersion": config.sim_model_version,
    }


def _say_what_is_not_taken_literally(file: MatrixFile, unread: list[str]) -> None:
    if unread:
        terminal.say(f"note: the matrix is given, so {', '.join(unread)} of the request are not read")
    if file.rounded:
        terminal.say("note: multiples are rounded to single precision, as in every matrix of vcfolio")
