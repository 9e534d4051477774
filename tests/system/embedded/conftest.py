from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deployments.local.embedded.installation import find_programs
from deployments.local.embedded.locks import is_held
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.postmaster import ServerFiles, find_processes, stop_server
from tests.system.embedded.user_process import FAST, UserProcess
from tests.waiting import eventually


def connect(postgres: EmbeddedPostgres, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(postgres.url(database).replace("+psycopg", ""), autocommit=True)


def query(postgres: EmbeddedPostgres, statement: str) -> list[tuple]:
    with connect(postgres) as connection:
        return connection.execute(statement).fetchall()


def postmaster(postgres: EmbeddedPostgres) -> psutil.Process:
    (process,) = find_processes(ServerFiles(postgres.root)).postmasters
    return process


def stopped(root: Path) -> bool:
    return not is_held(ServerFiles(root).server_lock)


def wardens(root: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (command := process.info["cmdline"])
        and str(root) in command
        and any(argument.endswith("warden.py") for argument in command)
    ]


def kill(process: psutil.Process) -> None:
    """By SIGKILL, and it has ended when this returns: until then, which on a busy machine takes a while, it still holds
    its locks."""

    def ended() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    process.kill()
    assert eventually(ended)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="vcfolio-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def made_once() -> Iterator[Path]:
    """A home whose cluster exists, to copy from: initdb is most of the cost of a first start."""
    directory = Path(tempfile.mkdtemp(prefix="vcfolio-test-"))
    directory.chmod(0o755)
    with EmbeddedPostgres(directory / "home", settings=FAST):
        pass
    yield directory / "home"
    shutil.rmtree(directory)


@pytest.fixture
def fresh_home(open_directory: Path) -> Iterator[Path]:
    """A VCFOLIO_HOME that does not exist yet; whatever a test leaves running there is stopped."""
    home = open_directory / "home"
    yield home
    stop_server(ServerFiles(home / "postgres"))
    assert eventually(lambda: not wardens(home / "postgres"))


@pytest.fixture
def home(fresh_home: Path, made_once: Path) -> Path:
    """A VCFOLIO_HOME whose server has run before."""
    subprocess.run(["cp", "-a", str(made_once), str(fresh_home)], check=True)
    return fresh_home


@pytest.fixture
def embedded(home: Path) -> Callable[..., EmbeddedPostgres]:
    """Makes a use of the server of `home`, not opened yet."""

    def use(bin_dir: Path | None = None, **settings: str) -> EmbeddedPostgres:
        return EmbeddedPostgres(home, bin_dir, {**FAST, **settings})

    return use


@pytest.fixture
def user(home: Path) -> Iterator[Callable[..., UserProcess]]:
    """Starts user processes; those that still live are killed at the end."""
    started: list[UserProcess] = []

    def start(bin_dir: Path | None = None) -> UserProcess:
        started.append(UserProcess(home, bin_dir))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.end()


class Gate:
    """A place in a program at which it waits, having said that it is there, until it is let through."""

    def __init__(self, directory: Path, name: str) -> None:
        self._arrivals = directory / f"{name}.arrived"
        self._passes = directory / f"{name}.pass"
        for pipe in (self._arrivals, self._passes):
            os.mkfifo(pipe)
            pipe.chmod(0o666)

    @property
    def shell(self) -> str:
        return f"echo here > '{self._arrivals}'; read -r pass < '{self._passes}'"

    def wait_for_arrival(self) -> None:
        """Reads without waiting in the kernel, where nothing would end the wait for a program that has failed."""
        arrivals = os.open(self._arrivals, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert eventually(lambda: self._said_in(arrivals)), "the program never came to its gate"
        finally:
            os.close(arrivals)

    @staticmethod
    def _said_in(arrivals: int) -> bool:
        try:
            return bool(os.read(arrivals, 100))
        except BlockingIOError:
            return False

    def let_through(self) -> None:
        self._passes.write_text("go\n")


@pytest.fixture
def gated_programs(open_directory: Path) -> Callable[[str, str], tuple[Path, Gate]]:
    """PostgreSQL's programs with a gate before or after the real work of one of them."""

    def make(program: str, script: str) -> tuple[Path, Gate]:
        real = find_programs(None)
        directory = open_directory / "bin"
        directory.mkdir()
        gate = Gate(open_directory, program)
        for name in ("postgres", "initdb"):
            (directory / name).symlink_to(real / name)
        wrapper = directory / program
        wrapper.unlink()
        wrapper.write_text("#!/bin/sh\n" + script.format(real=f"'{real / program}'", gate=gate.shell) + "\n")
        wrapper.chmod(0o755)
        return directory, gate

    return make
