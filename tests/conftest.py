"""What all tests share: one PostgreSQL a run, from which databases are cloned; where tests run, and what is printed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from core.canonical import sha256_hex
from db import migrations
from db.engine import make_engine
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.prefect_server import PrefectService
from deployments.local.server import PREFECT_DATABASE, PREFECT_OWNER
from tests import servers
from tests.reference_loop import reference_loop_s

# A background job of a script, `nohup` or a CI runner may start us with SIGINT ignored, and children inherit that: then
# neither Ctrl-C nor a test of it would ever arrive.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = "migrated_template"

# Groups of tests that share one stack or one database, and therefore one worker: the longest first.
GROUPS_IN_ORDER = ("stack", "flows", "cli")
CAMPAIGN = Path(__file__).parent / "campaign"
# In CI the campaign may not come to its end: first what no other tier looks at.
CAMPAIGN_GROUPS_IN_ORDER = ("wheel", "campaign-stack", "campaign-cli")
OUT_OF_TIME = "not run: the time of the campaign was up"

NewDatabase = Callable[[str], AbstractContextManager[Engine]]
MakeTemplate = Callable[[str, Callable[[Engine], str]], str]


@pytest.fixture(autouse=True)
def umask_of_before() -> Iterator[None]:
    """Entry points make files for their user alone, and some of them run in this process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machine-examples",
        type=int,
        help="examples of the session state machine: other ones each time. Without it, the same few as ever",
    )
    parser.addoption(
        "--campaign-until", type=float, help="seconds since 1970 after which no more test of the campaign is begun"
    )
    parser.addoption("--fuzz", type=int, default=50, help="random programs of each kind in the campaign's fuzz")
    parser.addoption("--fuzz-seed", type=int, help="the first seed of the campaign's fuzz; default one never used")
    parser.addoption(
        "--regenerate-oracles", action="store_true", help="ask the oracles of the fuzz anew and store their answers"
    )
    parser.addoption("--outage-s", type=float, default=0, help="least seconds for which Prefect's server is stopped")
    parser.addoption(
        "--rounds", type=int, default=2, help="rounds of ten simultaneous requests, their flows in this process"
    )
    parser.addoption(
        "--stack-rounds", type=int, default=3, help="rounds of ten simultaneous requests through the running stack"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): of one group, run in one process")
    servers.home()
    if not hasattr(config, "workerinput"):
        # Called after every fixture's end, and the workers'.
        config.add_cleanup(servers.remove_home)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    until: float | None = item.config.getoption("--campaign-until")
    if until is not None and time.time() > until and item.path.is_relative_to(CAMPAIGN):
        pytest.skip(OUT_OF_TIME)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    late = [report.nodeid for report in terminalreporter.getreports("skipped") if OUT_OF_TIME in str(report.longrepr)]
    if late:
        terminalreporter.write_line(f"{len(late)} tests of the campaign were {OUT_OF_TIME}:")
        for test in sorted(late):
            terminalreporter.write_line(f"  {test}")
    processor, clock = reference_loop_s()
    terminalreporter.write_line(
        f"reference loop: {processor:.2f} s of processor time, {clock:.2f} s on the clock (see tests/README.md)"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only one worker can do begins before the rest: begun last, it would leave the other workers idle."""
    if not _groups_are_kept(config, items):
        # Of a worker's errors pytest-xdist shows those that pytest does not expect.
        raise RuntimeError("tests of one group go to several workers: this pytest and pytest-xdist do not fit")

    def place(item: pytest.Item) -> tuple[bool, int]:
        of_campaign = item.path.is_relative_to(CAMPAIGN)
        order = CAMPAIGN_GROUPS_IN_ORDER if of_campaign else GROUPS_IN_ORDER
        group = item.get_closest_marker("xdist_group")
        return of_campaign, len(order) if group is None else order.index(group.args[0])

    items.sort(key=place)


def _groups_are_kept(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """pytest-xdist tells its scheduler of a group at the end of a test's id, and is silent where that fails."""
    if not getattr(config.option, "loadgroup", False):
        return True
    groups = [(item, item.get_closest_marker("xdist_group")) for item in items]
    return all(item.nodeid.endswith(f"@{group.args[0]}") for item, group in groups if group)


@pytest.fixture
def taxonomy(request: pytest.FixtureRequest) -> str:
    """A taxonomy of the test's own: no other test's matrix is this one's, and each run of the test has the same."""
    group = request.node.get_closest_marker("xdist_group")
    # pytest-xdist marks an id with the group, but not where there is one worker.
    test = request.node.nodeid.removesuffix(f"@{group.args[0]}") if group else request.node.nodeid
    return sha256_hex(test.encode())[:60]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The run's server, up for as long as a process of the run uses it."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def prefect_service(postgres: EmbeddedPostgres) -> Iterator[PrefectService]:
    """The run's Prefect server, up for as long as a process of the run uses it."""
    postgres.ensure_owned_database(PREFECT_DATABASE, PREFECT_OWNER)
    url = postgres.url(PREFECT_DATABASE, driver="asyncpg", role=PREFECT_OWNER)
    with PrefectService(servers.home(), postgres, url) as service:
        service.wait_until_healthy()
        yield service


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> Iterator[NewDatabase]:
    """`with new_database(template) as engine:` a clone of that database, dropped afterwards."""
    numbers = count(1)
    server = make_engine(postgres.url("postgres")).execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def database(template: str) -> Iterator[Engine]:
        name = f"test_{os.getpid()}_{next(numbers)}"
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine = make_engine(postgres.url(name))
        try:
            yield engine
        finally:
            engine.dispose()
            with server.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    yield database
    server.dispose()


@pytest.fixture(scope="session")
def make_template(postgres: EmbeddedPostgres) -> MakeTemplate:
    """`make_template(name, fill)`: a database that `fill` fills once a run, to be cloned. Returns what `fill` did."""

    def template(name: str, fill: Callable[[Engine], str]) -> str:
        def make() -> str:
            postgres.ensure_database(name)
            engine = make_engine(postgres.url(name))
            try:
                return fill(engine)
            finally:
                # Nobody may be connected to what is cloned.
                engine.dispose()

        return servers.once(name, make)

    return template


@pytest.fixture(scope="session")
def template(make_template: MakeTemplate) -> str:
    """The name of a migrated database."""

    def fill(engine: Engine) -> str:
        migrations.upgrade(engine)
        return ""

    make_template(TEMPLATE, fill)
    return TEMPLATE


@pytest.fixture
def engine(new_database: NewDatabase, template: str) -> Iterator[Engine]:
    """A migrated database of the test's own, for tests that commit or need several connections."""
    with new_database(template) as engine:
        yield engine


@pytest.fixture
def empty_engine(new_database: NewDatabase) -> Iterator[Engine]:
    """A database without any table."""
    with new_database("template0") as engine:
        yield engine


@pytest.fixture(scope="session")
def shared_engine(new_database: NewDatabase, template: str) -> Iterator[Engine]:
    with new_database(template) as engine:
        yield engine


@pytest.fixture
def connection(shared_engine: Engine) -> Iterator[Connection]:
    """One connection to a migrated database; all that the test did is rolled back."""
    with shared_engine.connect() as connection:
        yield connection
        connection.rollback()
