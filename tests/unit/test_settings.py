from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import BadInput
from db.settings import Days, Hours, Minutes, Seconds, Settings, child_environment, export, load_settings

VARIABLES = ("HOME", "XDG_DATA_HOME", "DATABASE_URL", "PREFECT_API_URL")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    """Sets variables in an environment that has none of those which count."""
    for name in child_environment({}):
        if name in VARIABLES or name.startswith("VCFOLIO_"):
            monkeypatch.delenv(name)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def problems() -> list[tuple[str, object, str]]:
    with pytest.raises(BadInput) as raised:
        load_settings()
    return [(problem.field, problem.value, problem.rule) for problem in raised.value.problems]


def test_an_empty_environment_gives_the_documented_defaults(environment):
    settings = load_settings()
    assert settings == Settings(home=settings.home)
    assert settings.database_url is settings.prefect_api_url is settings.pg_bin_dir is None
    assert (settings.lease_s, settings.heartbeat_s, settings.ownership_check_s) == (45, 10, 1)
    assert (settings.generation_lease_s, settings.max_generations, settings.max_generations_per_minute) == (45, 2, 10)
    assert (settings.max_takeovers, settings.max_epochs) == (3, 5)


@pytest.mark.parametrize(
    ("variables", "home"),
    [
        ({"VCFOLIO_HOME": "/data/vc", "XDG_DATA_HOME": "/xdg", "HOME": "/home/ana"}, "/data/vc"),
        ({"XDG_DATA_HOME": "/xdg", "HOME": "/home/ana"}, "/xdg/vcfolio"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/home/ana"}, "/home/ana/.local/share/vcfolio"),
        ({"XDG_DATA_HOME": "", "HOME": "/home/ana"}, "/home/ana/.local/share/vcfolio"),
        ({"VCFOLIO_HOME": "", "HOME": "/home/ana"}, "/home/ana/.local/share/vcfolio"),
        ({}, pwd.getpwuid(os.getuid()).pw_dir + "/.local/share/vcfolio"),
        ({"HOME": ""}, pwd.getpwuid(os.getuid()).pw_dir + "/.local/share/vcfolio"),
    ],
)
def test_the_home_is_found_where_the_user_keeps_data(environment, variables, home):
    environment(**variables)
    assert load_settings().home == Path(home)


def test_a_relative_home_means_the_directory_it_was_given_in(environment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environment(VCFOLIO_HOME="here", VCFOLIO_PG_BIN_DIR="bin")
    settings = load_settings()
    assert settings.home == tmp_path / "here"
    assert settings.pg_bin_dir == tmp_path / "bin"


def test_variables_of_other_programs_with_our_field_names_do_not_count(environment):
    environment(LEASE_S="3", VCFOLIO_DATABASE_URL="postgresql://other", MAX_EPOCHS="9")
    assert load_settings() == Settings(home=load_settings().home)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_url_names_the_driver_whatever_way_it_was_written(environment, scheme):
    environment(DATABASE_URL=f"{scheme}://ana:p%40ss@db.example:5433/funds?sslmode=require")
    assert load_settings().database_url == "postgresql+psycopg://ana:p%40ss@db.example:5433/funds?sslmode=require"


@pytest.mark.parametrize(
    ("url", "shown", "rule"),
    [
        ("mysql://ana:s3cret@db/funds", "mysql://...", "must start with postgresql:// or postgres://"),
        ("postgresql+asyncpg://ana:s3cret@db/f", "postgresql+asyncpg://...", "must start with"),
        ("host=db password=s3cret", "(not shown)", "must start with"),
        ("postgresql://ana:s3cret@x@db/funds", "postgresql://...", "must write an @ within user or password as %40"),
        ("postgresql://ana:s3cret/x@db/funds", "postgresql://...", "must be a connection URI as libpq reads it"),
        ("postgresql://ana:s3cret%zz@db/funds", "postgresql://...", "must be a connection URI as libpq reads it"),
        ("postgresql://ana:s3cret@db/funds?nonsense=1", "postgresql://...", "must be a connection URI"),
        ("postgresql://ana:s3cret@db:99999/funds", "postgresql://...", "must be a connection URI"),
    ],
)
def test_a_database_url_that_cannot_work_is_refused_without_showing_the_password(environment, url, shown, rule):
    environment(DATABASE_URL=url)
    ((field, value, given_rule),) = problems()
    assert (field, value) == ("DATABASE_URL", shown)
    assert rule in given_rule
    assert "s3cret" not in f"{value}{given_rule}"


def test_the_password_is_not_in_the_representation():
    assert "s3cret" not in repr(Settings(home="/h", database_url="postgresql://ana:s3cret@db/funds"))


def test_a_prefect_url_must_be_http(environment):
    environment(PREFECT_API_URL="https://prefect.example/api")
    assert load_settings().prefect_api_url == "https://prefect.example/api"
    environment(PREFECT_API_URL="prefect.example:4200")
    assert problems() == [("PREFECT_API_URL", "prefect.example:4200", "must start with http:// or https://")]


NUMBERS = sorted(name for name, field in Settings.model_fields.items() if field.annotation in (int, float))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf", "1e999"])
def test_a_number_that_is_none_or_not_positive_is_refused_by_the_variables_name(environment, name, value):
    environment(**{f"VCFOLIO_{name.upper()}": value})
    assert (f"VCFOLIO_{name.upper()}", value) in [(field, shown) for field, shown, _ in problems()]


def test_a_count_is_whole(environment):
    environment(VCFOLIO_MAX_EPOCHS="2.5")
    ((field, _, _),) = problems()
    assert field == "VCFOLIO_MAX_EPOCHS"


def test_every_problem_is_listed(environment):
    environment(VCFOLIO_LEASE_S="0", VCFOLIO_MAX_EPOCHS="no", DATABASE_URL="mysql://db", PREFECT_API_URL="x")
    assert {field for field, _, _ in problems()} == {
        *("VCFOLIO_LEASE_S", "VCFOLIO_MAX_EPOCHS", "DATABASE_URL", "PREFECT_API_URL"),
    }


@pytest.mark.parametrize("lease", ["lease_s", "generation_lease_s"])
@pytest.mark.parametrize("beat", ["heartbeat_s", "ownership_check_s"])
@given(seconds=st.floats(0.1, 1000), times=st.floats(0.01, 10))
def test_a_lease_is_longer_than_what_renews_it(lease, beat, seconds, times):
    others = {"lease_s": 1e6, "generation_lease_s": 1e6, "heartbeat_s": 1e-6, "ownership_check_s": 1e-6}
    values = {**others, lease: seconds, beat: seconds * times}
    if values[beat] < values[lease]:
        assert getattr(Settings(home="/h", **values), beat) == values[beat]
    else:
        with pytest.raises(ValidationError, match=f"must be less than VCFOLIO_{lease.upper()}"):
            Settings(home="/h", **values)


def test_a_lease_below_the_default_heartbeat_needs_a_shorter_heartbeat_too(environment):
    environment(VCFOLIO_LEASE_S="2")
    ((field, value, rule),) = problems()
    assert (field, value) == ("VCFOLIO_HEARTBEAT_S", 10.0)
    assert "VCFOLIO_LEASE_S" in rule
    environment(VCFOLIO_HEARTBEAT_S="0.5")
    assert load_settings().lease_s == 2


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings(home="/h").lease_s = 1.0


def test_given_settings_do_not_look_at_the_environment(environment):
    environment(VCFOLIO_LEASE_S="20", DATABASE_URL="postgresql://db")
    assert Settings(home="/h").lease_s == 45
    assert Settings(home="/h").database_url is None


def test_a_child_gets_our_environment_and_more(environment):
    environment(KEPT="k", REPLACED="old")
    child = child_environment({"REPLACED": "new", "ADDED": "a"})
    script = "import os; print(*(os.environ[name] for name in ('KEPT', 'REPLACED', 'ADDED')))"
    answer = subprocess.run([sys.executable, "-c", script], env=child, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["k", "new", "a"]
    assert child_environment({})["REPLACED"] == "old"


def test_what_is_exported_is_in_this_process(environment, monkeypatch):
    monkeypatch.setenv("EXPORTED", "before")
    export({"EXPORTED": "after"})
    assert child_environment({})["EXPORTED"] == "after"


@pytest.mark.parametrize(
    ("variable", "most", "unit"),
    [
        ("VCFOLIO_LEASE_S", "31,536,000", "seconds"),
        ("VCFOLIO_LOGIN_LINK_MINUTES", "525,600", "minutes"),
        ("VCFOLIO_PAGE_SESSION_HOURS", "8,760", "hours"),
        ("VCFOLIO_MATRIX_KEPT_DAYS", "36,500", "days"),
        ("VCFOLIO_FAILED_MATRIX_KEPT_DAYS", "36,500", "days"),
        ("VCFOLIO_JOB_KEPT_DAYS", "36,500", "days"),
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "1e12"])
def test_a_duration_that_cannot_be_is_refused_in_its_own_unit(environment, variable, most, unit, value):
    environment(**{variable: value})
    named, given, rule = problems()[0]
    assert (named, float(given), rule) == (variable, float(value), f"must be above 0 and at most {most} {unit}")


def test_every_setting_that_is_a_duration_says_its_unit_in_its_name():
    units = {"_s": Seconds, "_minutes": Minutes, "_hours": Hours, "_days": Days}
    durations = {id(kind.__metadata__[0]): suffix for suffix, kind in units.items()}
    found = {
        name: durations[id(check)]
        for name, field in Settings.model_fields.items()
        for check in field.metadata
        if id(check) in durations
    }
    assert len(found) >= 17
    assert all(name.endswith(suffix) for name, suffix in found.items())
    assert {name for name in Settings.model_fields if name.endswith(tuple(units))} == set(found)
