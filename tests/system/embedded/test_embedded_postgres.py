"""Sharing one server, and the sudden death of everyone who takes part."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.postmaster import ServerFiles
from tests.system.embedded.conftest import connect, kill, postmaster, query, stopped, wardens
from tests.system.embedded.user_process import FAST, UserProcess
from tests.waiting import eventually

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
        kill(process)
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
        kill(postmaster(postgres))
        with embedded() as next_user:
            assert next_user.port == port, "old connections find the server where it was"
            assert query(next_user, "SELECT x FROM kept") == [(1,)]
        assert query(postgres, "SELECT x FROM kept") == [(1,)]


def test_leaving_a_server_that_has_died_is_no_error(embedded):
    with embedded() as postgres:
        kill(postmaster(postgres))
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
