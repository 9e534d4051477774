"""`vcfolio` as a user calls it: a process of its own, its two outputs kept apart."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from db.settings import child_environment

PROGRAM = "import sys; sys.argv[0] = 'vcfolio'; from deployments.cli.main import run; sys.exit(run())"
PATIENCE_S = 300
CONFIGURES_VCFOLIO = ("VCFOLIO_", "PREFECT_", "DATABASE_URL")


@dataclass(frozen=True)
class CommandLine:
    """home: the VCFOLIO_HOME of all its commands. elsewhere: where they run, and have nothing to write."""

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

    def json(self, *arguments: str) -> Any:
        """The one JSON document that standard output holds."""
        return json.loads(self.call(*arguments)[0])

    def processes(self) -> list[psutil.Process]:
        """Every living process whose command line names the home; what only waits for init to reap it is not one."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if any(str(self.home) in part for part in process.info["cmdline"] or [])
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    output, notes = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, notes
    return output, notes
