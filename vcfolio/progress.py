"""Progress on standard error or in a notebook's cell: the stage and step that runs, with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

STAGES = {"matrix": "simulating", "optimize": "optimizing", "validate": "validating"}


@contextmanager
def shown(setting: bool | Callable[[str, str], None]) -> Iterator[Callable[[str, str], None]]:
    """setting: True shows a line where somebody can see it, False nothing; a function is told stage and step itself."""
    if callable(setting):
        yield setting
        return
    console = Console(stderr=True)
    if not setting or not (console.is_terminal or console.is_jupyter):
        yield lambda _stage, _step: None
        return
    line = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with line:
        task = line.add_task("starting", total=None)
        yield lambda stage, step: line.update(task, description=f"{STAGES[stage]}: {step}")
