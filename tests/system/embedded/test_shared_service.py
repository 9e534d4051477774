"""The life cycle on its own, with a service that costs nothing: a detached process that holds a lock while it lives."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psutil
import pytest

from core.errors import Unavailable
from deployments.local.embedded.detached import launch_detached
from deployments.local.embedded.locks import EXCLUSIVE, is_held, lock, open_lock, release, try_lock
from deployments.local.embedded.shared_service import SharedService
from tests.system.embedded.conftest import kill, wardens
from tests.waiting import eventually


class Sleeper:
    """Runs `sleep`; records each start, and refuses a second one beside the first."""

    def __init__(self, directory: Path) -> None:
        self.alive = directory / "alive.lock"
        self.starts = directory / "starts"
        self.fails = False

    @property
    def stop_command(self) -> list[str]:
        return ["/bin/sh", "-c", 'kill -9 "$(tail -n 1 "$1")"', "sh", str(self.starts)]

    def running(self) -> bool:
        return is_held(self.alive)

    def start(self) -> None:
        life = open_lock(self.alive)
        assert try_lock(life, EXCLUSIVE), "started beside one that runs"
        if self.fails:
            os.close(life)
            raise Unavailable("fails on demand")
        command = ["/bin/sh", "-c", f"echo $$ >> '{self.starts}'; exec sleep 600"]
        before = self.count()
        launch_detached(command, log=self.alive.with_name("log"), keep_open=[life])
        os.close(life)
        assert eventually(lambda: self.count() > before)

    def stop(self) -> None:
        if self.running():
            subprocess.run(self.stop_command, check=True)
            assert eventually(lambda: not self.running())

    def count(self) -> int:
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    service = Sleeper(tmp_path)
    yield service
    service.stop()
    assert eventually(lambda: not wardens(tmp_path))


@pytest.fixture
def shared(tmp_path: Path, sleeper: Sleeper):
    return lambda: SharedService(tmp_path, sleeper)


def test_the_last_one_out_has_stopped_it_when_it_is_out_although_a_warden_waits_for_the_same_lock(sleeper, shared):
    for _ in range(40):
        with shared():
            assert sleeper.running()
        assert not sleeper.running()


def test_a_warden_that_gets_the_lock_while_the_last_one_leaves_does_not_make_it_leave_early(tmp_path, sleeper, shared):
    """To turn a shared lock into an exclusive one is to give it up for a moment; here the warden never misses it."""
    use = shared()
    use.join()
    assert eventually(lambda: len(wardens(tmp_path)) == 1)
    kill(wardens(tmp_path)[0])
    fcntl.flock(use._users, fcntl.LOCK_UN)
    warden_lock = open_lock(tmp_path / "users.lock")
    lock(warden_lock, EXCLUSIVE)
    use.leave()
    assert not sleeper.running()
    release(warden_lock)


def test_it_is_started_once_for_users_that_overlap(sleeper, shared):
    with shared(), shared(), shared():
        assert sleeper.count() == 1
    assert not sleeper.running()


def test_of_those_who_leave_at_the_same_time_one_is_the_last(sleeper, shared):
    together = Barrier(4)

    def leave(use: SharedService) -> None:
        together.wait()
        use.leave()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(40):
            uses = [shared() for _ in range(4)]
            for use in uses:
                use.join()
            list(pool.map(leave, uses))
            assert not sleeper.running()


def test_comings_and_goings_of_many_leave_nobody_without_it(sleeper, shared):
    def come_and_go(_: int) -> None:
        with shared():
            assert sleeper.running()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(80)))
    assert not sleeper.running()


def test_one_warden_is_enough(tmp_path, sleeper, shared):
    with shared():
        assert eventually(lambda: len(wardens(tmp_path)) == 1)
        with shared(), shared():
            assert len(wardens(tmp_path)) == 1


def test_it_is_started_anew_for_whoever_comes_after_it_died(sleeper, shared):
    with shared():
        subprocess.run(sleeper.stop_command, check=True)
        assert eventually(lambda: not sleeper.running())
        with shared():
            assert sleeper.running()
        assert sleeper.running(), "the first user is still there"
    assert not sleeper.running()


def test_a_failed_start_leaves_no_user_behind(tmp_path, sleeper, shared):
    sleeper.fails = True
    with pytest.raises(Unavailable), shared():
        pass
    assert eventually(lambda: not wardens(tmp_path))
    assert not is_held(tmp_path / "users.lock")
    sleeper.fails = False
    with shared():
        assert sleeper.running()


def test_leaving_twice_is_leaving_once(sleeper, shared):
    first, second = shared(), shared()
    first.join()
    second.join()
    first.leave()
    first.leave()
    assert sleeper.running()
    second.leave()
    assert not sleeper.running()


def test_a_copied_descriptor_does_not_keep_others_out(sleeper, shared):
    """A process that forks gives its child copies of all descriptors; that must not hold what the parent has left."""
    use = shared()
    use.join()
    copy = os.dup(use._users)
    use.leave()
    assert not sleeper.running()
    with shared():
        assert sleeper.running()
    os.close(copy)


def test_a_warden_costs_little(tmp_path, shared):
    with shared():
        assert eventually(lambda: bool(wardens(tmp_path)))
        (process,) = wardens(tmp_path)
        assert process.memory_info().rss < 30e6
        assert process.ppid() != os.getpid(), "it would be our zombie"
        assert process not in psutil.Process().children()
        assert os.getsid(process.pid) != os.getsid(0), "the terminal's signals are not for it"
