"""What the server is made of, where it runs, and what it refuses."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from core.errors import BadInput, Unavailable
from core.own_files import NotOurs
from deployments.local.embedded.account import server_account
from deployments.local.embedded.cluster import SUPERUSER
from deployments.local.embedded.installation import find_programs
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.postmaster import ServerFiles
from tests.system.embedded.conftest import postmaster, query, stopped
from tests.system.embedded.user_process import FAST

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about running as root")

# How it is set up


def test_only_the_password_opens_it(embedded):
    with embedded() as postgres:
        password = ServerFiles(postgres.root).password(SUPERUSER)
        assert password.stat().st_mode & 0o777 == 0o600
        for wrong in ("", ":wrong"):
            with pytest.raises(psycopg.OperationalError, match=r"password|fe_sendauth"):
                psycopg.connect(f"postgresql://vcfolio{wrong}@127.0.0.1:{postgres.port}/postgres", passfile="/dev/null")


def test_it_speaks_utf8_and_utc_to_this_machine_alone(embedded):
    with embedded() as postgres:
        settings = dict(query(postgres, "SELECT name, setting FROM pg_settings"))
        collation = query(postgres, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'")
    assert settings["server_encoding"] == "UTF8"
    assert collation in ([("C.UTF-8",)], [("C",)])
    assert settings["TimeZone"] == "UTC"
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["unix_socket_directories"] == ""
    assert settings["password_encryption"] == "scram-sha-256"
    assert settings["max_connections"] == "200"


def test_a_database_is_made_once_whoever_asks(embedded):
    with embedded() as postgres, ThreadPoolExecutor(4) as pool:
        list(pool.map(postgres.ensure_database, ['funds "north"'] * 8))
        assert query(postgres, "SELECT count(*) FROM pg_database WHERE datname LIKE 'funds%'") == [(1,)]


def test_the_home_may_have_any_name(open_directory):
    home = open_directory / 'with a space, 1 quo\'te, "two", $HOME, `id` and ümlaut' / "home"
    with EmbeddedPostgres(home, settings=FAST) as postgres:
        assert postgres.root == home / "postgres"
        assert query(postgres, "SELECT 1") == [(1,)]
    assert stopped(postgres.root)


@as_root
@pytest.mark.parametrize("name", ["password", "port", "server.log", "data/PG_VERSION", "data/postmaster.pid"])
def test_root_follows_no_link_that_the_servers_account_has_put_into_its_directory(home, tmp_path, name):
    """That account could else have root overwrite, remove or print any file."""
    files, target = ServerFiles(home / "postgres"), tmp_path / "of_root"
    target.write_text("root's own")
    link = files.cluster / name
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    try:
        with EmbeddedPostgres(home, settings=FAST) as postgres:
            assert query(postgres, "SELECT 1") == [(1,)]
    except (NotOurs, OSError, Unavailable) as error:
        said = str(error)
    else:
        said = ""
    assert "root's own" not in said
    assert target.read_text() == "root's own"


@as_root
def test_root_writes_only_into_a_directory_of_its_own(embedded):
    with embedded() as postgres:
        for name in ("password-vcfolio", "port"):
            file = postgres.root / name
            assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (0, 0o600)
        assert postgres.root.stat().st_uid == 0
        assert not (postgres.root / "cluster" / "password").exists()


@as_root
def test_root_leaves_a_private_home_as_it_is_and_keeps_the_data_where_the_server_can_go(tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    postgres = EmbeddedPostgres(private / "home", settings=FAST)
    try:
        with postgres:
            assert psutil.Process(postmaster(postgres).pid).uids().real != 0
        assert private.stat().st_mode & 0o777 == 0o700
        assert private.stat().st_uid == 0
        assert (private / "home" / "postgres").resolve() == postgres.root
        assert EmbeddedPostgres(private / "home").root == postgres.root
    finally:
        shutil.rmtree(postgres.root)


@as_root
def test_root_runs_programs_that_lie_in_a_private_directory(tmp_path, home):
    wheel = find_programs(None).parents[1]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for directory in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        subprocess.run(["cp", "-r", str(directory), str(private)], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", str(private)], check=True)
    programs = private / wheel.name / "pginstall" / "bin"
    for _ in range(2):
        with EmbeddedPostgres(home, programs, FAST) as postgres:
            assert Path(postmaster(postgres).exe()).is_relative_to(postgres.root)
            copied = (postgres.root / "programs").stat().st_ctime_ns
        assert copied == (postgres.root / "programs").stat().st_ctime_ns, "copied once"
    assert private.stat().st_mode & 0o777 == 0o700


# What only looks like a server


@pytest.fixture
def zombie():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


@pytest.fixture
def stranger():
    """Lives under the account of the server, so that PostgreSQL itself would respect it."""
    account = server_account(Path("/nonexistent"))
    identity = account.as_process_identity() if account else {}
    process = subprocess.Popen(["sleep", "600"], **identity)
    yield process.pid
    assert process.poll() is None, "the stranger was killed"
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", ["zombie", "stranger"])
def test_a_pid_file_that_names_something_else_is_not_taken_for_a_server(kind, request, embedded):
    with embedded() as postgres:
        content = ServerFiles(postgres.root).pid_file.read_text().splitlines()
    assert content[7].strip() == "ready"
    content[0] = str(request.getfixturevalue(kind))
    ServerFiles(postgres.root).pid_file.write_text("\n".join(content) + "\n")
    with embedded() as again:
        assert query(again, "SELECT 1") == [(1,)]


def test_a_port_that_was_taken_in_between_is_given_up(embedded):
    with embedded() as postgres:
        old_port = postgres.port
    with socket.create_server(("127.0.0.1", old_port)), embedded() as again:
        assert again.port != old_port
        assert query(again, "SELECT 1") == [(1,)]


# What cannot work


def test_data_of_another_major_version_are_refused_and_left_alone(embedded):
    with embedded() as postgres:
        version_file = ServerFiles(postgres.root).data / "PG_VERSION"
    version_file.write_text("12\n")
    with pytest.raises(BadInput, match=r"VCFOLIO_PG_BIN_DIR = 'PostgreSQL \d+': must be 12, which wrote the data in"):
        embedded().open()
    assert version_file.read_text() == "12\n"
    assert stopped(postgres.root)


def test_a_server_that_does_not_start_says_why(embedded):
    postgres = embedded(shared_preload_libraries="no_such_library")
    with pytest.raises(Unavailable, match="no_such_library"):
        postgres.open()
    assert stopped(postgres.root)
    with embedded() as healthy:
        assert query(healthy, "SELECT 1") == [(1,)]


def test_a_directory_without_the_programs_is_refused(embedded, tmp_path):
    with pytest.raises(BadInput, match=r"VCFOLIO_PG_BIN_DIR = .*: must hold the programs postgres and initdb"):
        embedded(bin_dir=tmp_path).open()


def test_a_home_that_is_no_directory_is_refused(open_directory):
    (open_directory / "file").touch()
    with pytest.raises(BadInput, match=r"VCFOLIO_HOME = .*: must be a directory this user can write"):
        EmbeddedPostgres(open_directory / "file")
