"""Starting a process that outlives the one that starts it, and is not its child."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployments.local.embedded.account import Account

# The shell leaves the program behind and exits: init adopts it, so no zombie waits for us to reap it. All that varies
# goes in as positional parameters, so no path needs quoting.
_LEAVE_BEHIND = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 &'


def launch_detached(
    command: Sequence[str],
    *,
    log: Path,
    keep_open: Sequence[int] = (),
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Starts the command in a session of its own; its output is appended to `log`.

    keep_open: descriptors that the command inherits under the same numbers, e.g. a lock it shall hold while it lives.
    account: runs as this account; needs root. environment: all of the child's; None passes on ours.
    """
    identity = account.as_process_identity() if account else {}
    subprocess.run(
        ["/bin/sh", "-c", _LEAVE_BEHIND, "sh", str(log), *command],
        check=True,
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=keep_open,
        **identity,
    )
