"""Properties are judged by what they find, never by the clock of a machine that others share."""

import pytest
from hypothesis import settings

settings.register_profile("no_clock", deadline=None)
settings.load_profile("no_clock")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=0, help="this many more random programs of each kind for the solver")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "random_programs(count): how many seeds `fuzz_seed` takes without --fuzz")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`fuzz_seed`: as many seeds as the test's `random_programs` mark says, and those of --fuzz."""
    if "fuzz_seed" in metafunc.fixturenames:
        (count,) = metafunc.definition.get_closest_marker("random_programs").args
        metafunc.parametrize("fuzz_seed", range(count + metafunc.config.getoption("--fuzz", default=0)))
