"""`vcfolio` as a user calls it, its two outputs kept apart: a process of its own, or the same code in this process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import psutil
import pytest

from db.settings import child_environment
from deployments.cli import terminal
from deployments.cli.main import run
from deployments.local.prefect_environment import PrefectApi, client_environment
from tasks import runtime

PROGRAM = "import sys; sys.argv[0] = 'vcfolio'; from deployments.cli.main import run; sys.exit(run())"
PATIENCE_S = 300
CONFIGURES_VCFOLIO = ("VCFOLIO_", "PREFECT_", "DATABASE_URL")


class Vcfolio(Protocol):
    """Either of the two below."""

    home: Path

    def call(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]: ...

    def json(self, *arguments: str) -> Any: ...


def refusal(vcfolio: Vcfolio, *arguments: str) -> str:
    """What is said of bad input."""
    output, notes = vcfolio.call(*arguments, code=2)
    assert output == ""
    assert "Traceback" not in notes
    assert notes.startswith("error: ")
    return notes


@dataclass(frozen=True)
class CommandLine:
    """Processes. home: the VCFOLIO_HOME of all its commands. elsewhere: where they run, and have nothing to write."""

    home: Path
    elsewhere: Path

    def start(self, *arguments: str, output: IO[str] | None = None, **variables: str) -> subprocess.Popen[str]:
        """output: where both standard output and standard error go; None keeps them for `communicate`."""
        inherited = child_environment({})
        environment = {name: inherited[name] for name in inherited if not name.startswith(CONFIGURES_VCFOLIO)}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**environment, "VCFOLIO_HOME": str(self.home), "PWD": str(self.elsewhere), **variables},
            cwd=self.elsewhere,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
        """Standard output and standard error; the exit code must be `code`."""
        return finish(self.start(*arguments, **variables), code)

    def json(self, *arguments: str, **variables: str) -> Any:
        """The one JSON document that standard output holds."""
        return json.loads(self.call(*arguments, **variables)[0])

    def processes(self) -> list[psutil.Process]:
        """Every living process whose command line names the home; what only waits for init to reap it is not one."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if any(str(self.home) in part for part in process.info["cmdline"] or [])
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


@dataclass(frozen=True)
class CommandLineInProcess:
    """The function that the console script calls, in this process, and nothing of it left behind.

    Exit code, both outputs, arguments, environment and directory are those of a process. For what only a process has
    (signals, being killed, what is loaded, a first home) there is CommandLine. prefect_api: the home's server;
    None for commands that need none.
    """

    home: Path
    elsewhere: Path
    prefect_api: PrefectApi | None

    def call(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
        """Standard output and standard error; the exit code must be `code`."""
        output, notes = io.StringIO(), io.StringIO()
        with self._as_a_process_has_it(arguments, variables), redirect_stdout(output), redirect_stderr(notes):
            # Without whatever settings of Prefect's hold in this thread.
            found = Context().run(run)
            if runtime._engine.cache_info().currsize:  # connections, which a process takes with it
                runtime.engine().dispose()
                runtime._engine.cache_clear()
        assert found == code, notes.getvalue()
        return output.getvalue(), notes.getvalue()

    def json(self, *arguments: str) -> Any:
        """The one JSON document that standard output holds."""
        return json.loads(self.call(*arguments)[0])

    @contextmanager
    def _as_a_process_has_it(self, arguments: tuple[str, ...], variables: dict[str, str]) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch, chdir(self.elsewhere):
            inherited = [name for name in child_environment({}) if name.startswith(CONFIGURES_VCFOLIO)]
            # Also those that a command sets.
            for name in {*inherited, "DATABASE_URL", *client_environment(self.home, PrefectApi("", ""))}:
                patch.setenv(name, "")
                patch.delenv(name)
            with self._prefect_configured():
                for name, value in {"VCFOLIO_HOME": str(self.home), "PWD": str(self.elsewhere), **variables}.items():
                    patch.setenv(name, value)
                patch.setattr(sys, "argv", ["vcfolio", *arguments])
                patch.setattr(terminal, "verbose", False)
                before = os.umask(0o022)
                try:
                    yield
                finally:
                    os.umask(before)

    @contextmanager
    def _prefect_configured(self) -> Iterator[None]:
        """Prefect reads its configuration when it is imported; where it has been, it is told again, and told back."""
        context = sys.modules.get("prefect.context")
        if context is None or self.prefect_api is None:
            yield
            return
        before = context.GLOBAL_SETTINGS_CONTEXT
        with pytest.MonkeyPatch.context() as patch:
            for name, value in client_environment(self.home, self.prefect_api).items():
                patch.setenv(name, value)
            context.refresh_global_settings_context()
        try:
            yield
        finally:
            context.GLOBAL_SETTINGS_CONTEXT = before


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    output, notes = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, notes
    return output, notes
