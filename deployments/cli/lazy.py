"""Commands that are imported when they are called: `vcfolio --help` knows them by their line in `commands` alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


def add_command(app: typer.Typer, name: str, target: str, summary: str) -> None:
    """target: `module:function` below `deployments.cli`; the function's signature holds its options. summary: its help.

    Nothing is imported until the command is called, or asked for its own help.
    """

    class Lazy(TyperCommand):
        """Stands for the command in its group's help, and gives way to it when it is called."""

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            return _load(name, target, summary).make_context(info_name, args, parent=parent, **extra)

    app.command(name, help=summary, cls=Lazy)(_stand_in)


def _load(name: str, target: str, summary: str) -> Any:
    module, _, function = target.partition(":")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, help=summary)(getattr(import_module(f"deployments.cli.{module}"), function))
    return typer.main.get_command(app)


def _stand_in() -> None:
    raise AssertionError("the command itself is called, not what stands for it")
