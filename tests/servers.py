"""One PostgreSQL and one Prefect server for all processes of a test run, in one home directory.

The run's first process makes the home and tells the others where it is; whoever needs a server first starts it, and
the last one out stops it. Should the whole run be killed, the servers' own watchers stop them, and the next run removes
what is left of the home.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from db.settings import child_environment, export
from deployments.local.embedded.locks import EXCLUSIVE, exclusively, is_held, open_lock, try_lock
from deployments.local.embedded.postgres import EmbeddedPostgres

NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Nothing in a test's database has to survive a power cut."""

_PREFIX = "vcfolio-tests-"
_RUN_LOCK = "run.lock"
_VARIABLE = "TESTS_SERVERS_HOME"


@cache
def home() -> Path:
    """VCFOLIO_HOME of the servers. The first process of the run makes it, those that it starts are told by variable."""
    told = child_environment({}).get(_VARIABLE)
    if told is not None:
        return Path(told)
    _remove_left_over()
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # Where root starts it, the server's own account must be able to enter.
    path.chmod(0o711)
    assert try_lock(open_lock(path / _RUN_LOCK), EXCLUSIVE), "held until this process ends"
    export({_VARIABLE: str(path)})
    return path


def remove_home() -> None:
    """By the process that made it, when the others have ended."""
    warden_lock = home() / "postgres" / "warden.lock"
    if warden_lock.exists():
        # The warden looks once more after the last user has left, and would do so while its directory is removed.
        with exclusively(warden_lock):
            pass
    shutil.rmtree(home())


def postgres() -> EmbeddedPostgres:
    """A use of the shared server, not opened yet."""
    return EmbeddedPostgres(home(), settings=NOT_DURABLE)


def once(name: str, make: Callable[[], str]) -> str:
    """What `make` returned in whichever process of the run came first; the others wait for it."""
    with exclusively(home() / f"{name}.lock"):
        made = home() / f"{name}.made"
        if not made.exists():
            made.write_text(make())
        return made.read_text()


def _remove_left_over() -> None:
    """Homes of runs that were killed: no process of the run is there any more, and its server has ended."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        locks = [lock for name in (_RUN_LOCK, "postgres/server.lock") if (lock := path / name).exists()]
        try:
            if locks and not any(is_held(lock) for lock in locks):
                shutil.rmtree(path, ignore_errors=True)
        except PermissionError:  # another user's
            continue
