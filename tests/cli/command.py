"""`vcfolio` as a user calls it: a process of its own, its two outputs kept apart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.settings import child_environment

PROGRAM = "import sys; sys.argv[0] = 'vcfolio'; from deployments.cli.main import run; sys.exit(run())"


@dataclass(frozen=True)
class CommandLine:
    """home: the VCFOLIO_HOME of all its commands."""

    home: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=child_environment({"VCFOLIO_HOME": str(self.home)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and standard error; the exit code must be `code`."""
        process = self.start(*arguments)
        output, notes = process.communicate(timeout=300)
        assert process.returncode == code, notes
        return output, notes

    def json(self, *arguments: str) -> Any:
        """The one JSON document that standard output holds."""
        return json.loads(self.call(*arguments)[0])


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
