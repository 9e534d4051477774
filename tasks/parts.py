"""Work beyond one core's comfort: parts of it as mapped tasks, on whatever task runner is configured.

A worker needs memory for its part alone. Which runner it is, how many workers it has and in which order they end
changes no result, because parts are put together in their own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect import Task, unmapped
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from core.errors import BadInput, Unavailable
from core.simulation.parts import Part
from db.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many parts are done, of how many. What it raises ends the work: parts that have not begun never do."""


def in_parts(
    task: Task[..., Any], parts: Sequence[Part], shared: Mapping[str, Any], settings: Settings, progress: Progress
) -> list[Any]:
    """What `task(**shared, start=..., stop=...)` returns for each part, in their order. Called within a flow run.

    Raises what the first part that fails has raised, BadInput for a task runner that is not to be had, and Unavailable
    for one that cannot begin.
    """
    runner = task_runner(settings)
    mapped = {"start": [part.start for part in parts], "stop": [part.stop for part in parts]}
    with runner:
        try:
            futures = runner.map(task, {**{name: unmapped(value) for name, value in shared.items()}, **mapped})
        except OSError as error:  # Dask's word for a scheduler that does not answer
            raise Unavailable(f"the task runner {settings.task_runner} cannot begin: {error}") from error
        found = []
        for done, future in enumerate(futures):
            progress(done, len(parts))
            found.append(future.result())
    progress(len(parts), len(parts))
    return found


def task_runner(settings: Settings) -> TaskRunner[Any]:
    """Raises BadInput for Dask where its package is not installed."""
    match settings.task_runner:
        case "threads":
            return ThreadPoolTaskRunner(max_workers=settings.task_workers)
        case "processes":
            return ProcessPoolTaskRunner(max_workers=settings.task_workers)
        case "dask":
            return _dask(settings)


def _dask(settings: Settings) -> TaskRunner[Any]:
    try:
        # An extra, which need not be installed.
        from prefect_dask.task_runners import DaskTaskRunner  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        rule = "needs the package prefect-dask: pip install 'vcfolio[dask]'"
        raise BadInput.of("VCFOLIO_TASK_RUNNER", settings.task_runner, rule) from error
    where: dict[str, Any] = (
        {"cluster_kwargs": {"n_workers": settings.task_workers, "threads_per_worker": 1, "dashboard_address": None}}
        if settings.dask_address is None
        else {"address": settings.dask_address}
    )
    runner: TaskRunner[Any] = DaskTaskRunner(**where)
    return runner
