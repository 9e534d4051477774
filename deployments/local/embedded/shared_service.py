"""A service that several processes of one user share: the first starts it, the last one out stops it.

Three lock files in the service's directory, and a marker:

    users.lock    shared by every user for as long as it uses the service; exclusive while it is stopped
    start.lock    exclusive while somebody starts or stops it
    warden.lock   exclusive as long as a warden lives
    started       is there from before a start until after a stop

Every process takes `users` first and `start` second, and none waits for `users` while holding `start`, so there is no
deadlock. Locks go with their holder, so a `kill -9` leaves none behind. Then the warden, a small process that waits for
`users` to become free, stops the service in place of the user that could not. Killing the warden does no harm as long
as users leave properly, and the next one to join posts a new one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from deployments.local.embedded import warden
from deployments.local.embedded.detached import launch_detached
from deployments.local.embedded.locks import EXCLUSIVE, SHARED, exclusively, lock, open_lock, release, try_lock, unlock


class Service(Protocol):
    """What can be shared. The methods are only called by one process at a time (under `start.lock`)."""

    @property
    def stop_command(self) -> Sequence[str]:
        """A command that does what `stop` does, for the warden."""

    def running(self) -> bool:
        """Whether it truly answers now."""

    def start(self) -> None:
        """Returns when it answers. May find it half started or half stopped by a process that was killed."""

    def stop(self) -> None:
        """Returns when it has ended. Does nothing when it is not running."""


class SharedService:
    """One use of a service. Several at once, in one process or in many, are independent of each other."""

    def __init__(self, directory: Path, service: Service) -> None:
        self._directory = directory
        self._service = service
        self._started = directory / "started"
        self._users: int | None = None

    def join(self) -> None:
        """Becomes a user, and starts the service where it is not running."""
        assert self._users is None
        self._users = self._shared_descriptor()
        try:
            with exclusively(self._directory / "start.lock"):
                self._post_warden()
                if not self._service.running():
                    self._started.touch()
                    self._service.start()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Stops being a user, and stops the service if no other is left. Does nothing when not joined."""
        users, self._users = self._users, None
        if users is None:
            return
        try:
            with exclusively(self._directory / "start.lock"):
                if _no_other_user(users):
                    self._service.stop()
                    self._started.unlink(missing_ok=True)
                # Before `start` is free: of two that leave at the same time, the second must not see the first.
                unlock(users)
        finally:
            release(users)

    def ensure_running(self) -> bool:
        """For a user who stays: starts the service if it has died meanwhile. Whether it had."""
        assert self._users is not None
        if self._service.running():
            return False
        with exclusively(self._directory / "start.lock"):
            if self._service.running():
                return False
            self._service.start()
        return True

    def lease_for_child(self) -> int:
        """A descriptor that keeps the service running as long as it is open anywhere.

        Pass it to a child process (`pass_fds`) and close it here: the child is a user then until it ends.
        """
        assert self._users is not None
        return self._shared_descriptor()

    def __enter__(self) -> Self:
        self.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def _shared_descriptor(self) -> int:
        descriptor = open_lock(self._directory / "users.lock")
        try:
            lock(descriptor, SHARED)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _post_warden(self) -> None:
        """The warden inherits its lock, so from here on there is no moment in which it seems to be missing."""
        own_lock = open_lock(self._directory / "warden.lock")
        try:
            if try_lock(own_lock, EXCLUSIVE):
                launch_detached(
                    [
                        *(sys.executable, "-I", "-S", str(warden.__file__)),
                        *(str(self._directory), str(own_lock)),
                        *self._service.stop_command,
                    ],
                    log=self._directory / "warden.log",
                    keep_open=[own_lock],
                )
        finally:
            os.close(own_lock)


def _no_other_user(users: int) -> bool:
    """Whether the holder of this descriptor is the only user; decided while it holds `start.lock`.

    To turn a shared lock into an exclusive one is to give it up first. The waiting warden may slip in between; it keeps
    the lock until it gets `start`, and then not even a shared one can be had. That too means that no user is left.
    """
    return try_lock(users, EXCLUSIVE) or not try_lock(users, SHARED)
