"""Work too large for one core: ranges of scenario blocks as mapped tasks, on the task runner that is configured.

A worker needs memory for its own range only. The result does not depend on the runner, on its number of workers or on
the order in which they finish, because the ranges are assembled in their own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect import Task, unmapped
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from core.errors import BadInput, Unavailable
from core.simulation.block_ranges import BlockRange
from db.settings import Settings

Progress = Callable[[int, int], None]
"""Called with the number of finished ranges and their total. If it raises, ranges that have not started never do."""


def in_block_ranges(
    task: Task[..., Any],
    ranges: Sequence[BlockRange],
    shared: Mapping[str, Any],
    settings: Settings,
    progress: Progress,
) -> list[Any]:
    """What `task(**shared, start=..., stop=...)` returns for each range, in their order. Called within a flow run.

    Raises what the first failing range raised, BadInput for a task runner that is not installed, and Unavailable for
    one that cannot start.
    """
    runner = task_runner(settings)
    mapped = {"start": [each.start for each in ranges], "stop": [each.stop for each in ranges]}
    with runner:
        try:
            futures = runner.map(task, {**{name: unmapped(value) for name, value in shared.items()}, **mapped})
        except OSError as error:  # Dask's word for a scheduler that does not answer
            raise Unavailable(f"the task runner {settings.task_runner} cannot start: {error}") from error
        found = []
        for done, future in enumerate(futures):
            progress(done, len(ranges))
            found.append(future.result())
    progress(len(ranges), len(ranges))
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
