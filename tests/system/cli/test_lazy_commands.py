"""A command waits for its own imports only."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from deployments.cli.commands import COMMANDS, GROUPS

TARGETS = {name: target for name, (target, _summary) in COMMANDS.items()} | {
    f"{group} {name}": target
    for group, (_help, commands) in GROUPS.items()
    for name, (target, _summary) in commands.items()
}
LOADED = """
import sys
sys.argv = ["vcfolio", *{arguments!r}]
from deployments.cli.main import run
assert run() == 0
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def loaded_packages(*arguments: str) -> set[str]:
    """Top-level packages that the command has imported when it ends."""
    command = [sys.executable, "-c", LOADED.format(arguments=arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_the_list_of_commands_is_shown_without_loading_any_of_them() -> None:
    assert not {"db", "numpy", "pydantic", "sqlalchemy", "prefect"} & loaded_packages("--help")


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (("schema",), {"db", "sqlalchemy", "prefect", "numba", "matplotlib", "polars"}),
        (("fund", "list", "--help"), {"prefect", "numba", "matplotlib", "polars", "highspy", "uvicorn"}),
        (("up", "--help"), {"prefect", "numba", "matplotlib", "polars", "highspy", "fastapi"}),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(arguments: tuple[str, ...], unneeded: set[str]) -> None:
    assert not unneeded & loaded_packages(*arguments)


@pytest.mark.parametrize("name", TARGETS)
def test_every_command_listed_exists(name: str) -> None:
    module, _, function = TARGETS[name].partition(":")
    assert callable(getattr(import_module(f"deployments.cli.{module}"), function))
