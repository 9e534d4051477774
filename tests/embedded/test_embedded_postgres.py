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
from db.embedded.account import server_account
from db.embedded.installation import find_programs
from db.embedded.postgres import EmbeddedPostgres
from db.embedded.postmaster import ServerFiles, find_processes
from tests.embedded.conftest import eventually, stopped, wardens
from tests.embedded.user_process import FAST, UserProcess

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about running as root")


def connect(postgres: EmbeddedPostgres, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(postgres.url(database).replace("+psycopg", ""), autocommit=True)


def query(postgres: EmbeddedPostgres, statement: str) -> list[tuple]:
    with connect(postgres) as connection:
        return connection.execute(statement).fetchall()


def postmaster(postgres: EmbeddedPostgres) -> psutil.Process:
    (process,) = find_processes(ServerFiles(postgres.root)).postmasters
    return process


# Sharing


def test_processes_share_one_server_and_the_last_one_out_stops_it(user, embedded):
    first, second, observer = user(), user(), embedded()
    port = first.join()
    assert second.join() == port
    first.leave()
    assert query(observer, "SELECT 1") == [(1,)]
    second.leave()
    assert stopped(observer.root)


def test_uses_within_one_process_are_independent(embedded):
    with embedded() as outer:
        with embedded() as inner:
            assert inner.port == outer.port
        assert query(outer, "SELECT 1") == [(1,)]
    assert stopped(outer.root)


def test_processes_that_start_for_the_first_time_at_the_same_time_get_one_server(fresh_home):
    users = [UserProcess(fresh_home) for _ in range(8)]
    for process in users:
        process.say("join")
    assert len({process.hear() for process in users}) == 1
    assert postmaster(EmbeddedPostgres(fresh_home)).is_running()
    for process in users:
        process.leave()
        process.end()
    assert stopped(fresh_home / "postgres")


def test_threads_may_come_and_go_at_the_same_time(embedded):
    def use(_: int) -> list[tuple]:
        with embedded() as postgres:
            return query(postgres, "SELECT 1")

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(use, range(18))) == [[(1,)]] * 18
    assert stopped(embedded().root)


def test_data_outlive_the_server(embedded):
    with embedded() as postgres:
        postgres.ensure_database("ledger")
        with connect(postgres, "ledger") as connection:
            connection.execute("CREATE TABLE entries AS SELECT 42 AS amount")
    with embedded() as postgres, connect(postgres, "ledger") as connection:
        assert connection.execute("SELECT amount FROM entries").fetchall() == [(42,)]


def test_a_child_with_a_lease_keeps_the_server_running(user, embedded):
    parent, observer = user(), embedded()
    parent.join()
    child = psutil.Process(int(parent.ask("lease")))
    parent.kill()
    assert query(observer, "SELECT 1") == [(1,)]
    child.kill()
    assert eventually(lambda: stopped(observer.root))


# Sudden death


def test_killing_one_user_leaves_the_server_to_the_other(user, embedded):
    victim, survivor, observer = user(), user(), embedded()
    victim.join()
    survivor.join()
    victim.kill()
    assert query(observer, "SELECT 1") == [(1,)]
    survivor.leave()
    assert stopped(observer.root)


def test_killing_the_only_user_leaves_no_server_behind(user, embedded):
    victim, observer = user(), embedded()
    victim.join()
    assert not stopped(observer.root)
    victim.kill()
    assert eventually(lambda: stopped(observer.root))


def test_killing_the_warden_too_leaves_a_server_that_the_next_user_stops(user, embedded):
    victim, observer = user(), embedded()
    port = victim.join()
    assert eventually(lambda: bool(wardens(observer.root)))
    for process in wardens(observer.root):
        process.kill()
    victim.kill()
    assert not stopped(observer.root)
    with observer:
        assert observer.port == port
        assert eventually(lambda: len(wardens(observer.root)) == 1), "whoever joins posts a new warden"
    assert stopped(observer.root)


def test_after_a_killed_postmaster_the_next_user_finds_all_that_was_committed(user, embedded):
    bystander, postgres = user(), embedded(fsync="on")
    with postgres:
        bystander.join()
        port = postgres.port
        with connect(postgres) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
        postmaster(postgres).kill()
        with embedded() as next_user:
            assert next_user.port == port, "old connections find the server where it was"
            assert query(next_user, "SELECT x FROM kept") == [(1,)]
        assert query(postgres, "SELECT x FROM kept") == [(1,)]


def test_leaving_a_server_that_has_died_is_no_error(embedded):
    with embedded() as postgres:
        postmaster(postgres).kill()
    assert stopped(postgres.root)


@pytest.fixture
def cut_short(fresh_home, gated_programs):
    """A home in which initdb was all but done when the process that called it was killed."""
    programs, gate = gated_programs("initdb", '{real} "$@"; {gate}')
    victim = UserProcess(fresh_home, programs)
    victim.say("join")
    gate.wait_for_arrival()
    victim.kill()
    victim.end()
    return fresh_home


def test_an_initdb_that_was_cut_short_is_done_again(cut_short):
    files = ServerFiles(cut_short / "postgres")
    half_made = files.unfinished_cluster / "data"
    assert (half_made / "PG_VERSION").exists()
    (half_made / "marker").touch()
    with EmbeddedPostgres(cut_short, settings=FAST) as postgres:
        assert query(postgres, "SELECT 1") == [(1,)]
        assert not (files.data / "marker").exists()
        assert not files.unfinished_cluster.exists()


GATE_BEFORE_POSTGRES = 'if [ "$1" != --version ]; then {gate}; fi; exec {real} "$@"'


def test_killing_the_starter_while_the_server_starts_leaves_no_server_behind(user, embedded, gated_programs):
    programs, gate = gated_programs("postgres", GATE_BEFORE_POSTGRES)
    victim = user(programs)
    victim.say("join")
    gate.wait_for_arrival()
    victim.kill()
    gate.let_through()
    assert eventually(lambda: stopped(embedded().root))
    assert eventually(lambda: not wardens(embedded().root))


def test_a_user_that_comes_when_the_starter_is_killed_gets_the_one_server(user, embedded, gated_programs):
    programs, gate = gated_programs("postgres", GATE_BEFORE_POSTGRES)
    victim, heir = user(programs), user()
    victim.say("join")
    gate.wait_for_arrival()
    heir.say("join")
    victim.kill()
    gate.let_through()
    heir.hear()
    assert postmaster(embedded()).is_running()
    heir.leave()
    assert stopped(embedded().root)


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


# How it is set up


def test_only_the_password_opens_it(embedded):
    with embedded() as postgres:
        password = ServerFiles(postgres.root).password
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


@pytest.mark.parametrize("name", ["with a space", "quo'te", 'quo"te', "$HOME `id`", "ümlaut"])
def test_the_home_may_have_any_name(open_directory, name):
    home = open_directory / name / "home"
    with EmbeddedPostgres(home, settings=FAST) as postgres:
        assert postgres.root == home / "postgres"
        assert query(postgres, "SELECT 1") == [(1,)]
    assert stopped(postgres.root)


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
