"""A process that uses the embedded server and does what its standard input says, one word a line.

`join` answers with the server's port, `leave` with "left", `lease` starts a child that holds a lease until it is killed
and answers with its pid.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from deployments.local.embedded.postgres import EmbeddedPostgres

FAST = {"fsync": "off", "shared_buffers": "16MB"}


class UserProcess:
    """The driving side."""

    def __init__(self, home: Path, bin_dir: Path | None = None) -> None:
        arguments = json.dumps([str(home), str(bin_dir) if bin_dir else None])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.embedded.user_process", arguments],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, word: str) -> None:
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        answer = self.process.stdout.readline().strip()
        assert answer, "the user process has ended"
        return answer

    def ask(self, word: str) -> str:
        self.say(word)
        return self.hear()

    def join(self) -> int:
        return int(self.ask("join"))

    def leave(self) -> None:
        assert self.ask("leave") == "left"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def main(home: str, bin_dir: str | None) -> None:
    postgres = EmbeddedPostgres(Path(home), Path(bin_dir) if bin_dir else None, FAST)
    children = []
    for line in sys.stdin:
        match line.strip():
            case "join":
                postgres.open()
                print(postgres.port, flush=True)
            case "leave":
                postgres.close()
                print("left", flush=True)
            case "lease":
                lease = postgres.lease_for_child()
                children.append(subprocess.Popen(["sleep", "600"], pass_fds=[lease], stdout=subprocess.DEVNULL))
                print(children[-1].pid, flush=True)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
