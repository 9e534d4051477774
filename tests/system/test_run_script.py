"""`run`, executed for real in small projects that install without a network."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).resolve().parents[2] / "run"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

# Makes an editable wheel with the standard library alone.
BACKEND = """
import pathlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "vcfolio-0-py3-none-any.whl"
    info = "vcfolio-0.dist-info"
    files = {
        "vcfolio.pth": str(pathlib.Path.cwd()),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: vcfolio\\nVersion: 0\\nProvides-Extra: dev\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, content)
    return name
"""

COMMAND_LINE = """
import json, os, sys

def run():
    print(json.dumps({"arguments": sys.argv, "directory": os.getcwd()}))
    return 7
"""

# Stands for uv where the installation itself is not what is tested: notes the call, waits at the gate, installs.
FAST_INSTALLER = """#!/bin/sh
echo "$@" >> installed
if [ -p arrived ]; then echo here > arrived; read -r pass < pass; fi
[ ! -e broken ] || exit 3
pwd > "$(echo .venv/lib/python*/site-packages)/vcfolio.pth"
"""


class Project:
    """A project with the real `run`. fast: installs by the stand-in, else by pip."""

    def __init__(self, directory: Path, *, fast: bool) -> None:
        self.directory = directory
        (directory / "deployments" / "cli").mkdir(parents=True)
        (directory / "deployments" / "cli" / "main.py").write_text(COMMAND_LINE)
        (directory / "pyproject.toml").write_text(PYPROJECT)
        (directory / "constraints.txt").write_text("")
        (directory / "backend.py").write_text(BACKEND)
        shutil.copy(RUN, directory / "run")
        self.user_home = directory / "empty home"
        self.user_home.mkdir()
        self.path = "/usr/bin:/bin"
        if fast:
            programs = directory / "programs"
            programs.mkdir()
            (programs / "uv").write_text(FAST_INSTALLER)
            (programs / "uv").chmod(0o755)
            self.path = f"{programs}:{self.path}"

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.directory / "run"), *arguments],
            cwd=cwd or self.directory,
            env={"HOME": str(self.user_home), "PATH": self.path, "PIP_NO_INDEX": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        return finish(self.start(*arguments, cwd=cwd))

    def close_gate(self) -> None:
        for name in ("arrived", "pass"):
            os.mkfifo(self.directory / name)

    def wait_at_gate(self) -> None:
        (self.directory / "arrived").read_text()

    def open_gate(self) -> None:
        """For the one that waits there and for all that come."""
        (self.directory / "arrived").unlink()
        (self.directory / "pass").write_text("go\n")

    def installations(self) -> int:
        return len((self.directory / "installed").read_text().splitlines())


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def project(tmp_path: Path) -> Project:
    directory = tmp_path / "a project"
    directory.mkdir()
    return Project(directory, fast=True)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("run_script", str(RUN))
    spec = importlib.util.spec_from_loader("run_script", loader)
    module = importlib.util.module_from_spec(spec)
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = write
    return module


def test_it_sets_up_with_pip_from_a_path_with_spaces_and_keeps_standard_output_for_the_command(tmp_path):
    directory = tmp_path / "a project"
    directory.mkdir()
    project = Project(directory, fast=False)
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    code, out, err = project.run("run", "my fund.json", "--json", cwd=elsewhere)
    assert code == 7, err
    expected = {"arguments": ["vcfolio", "run", "my fund.json", "--json"], "directory": str(elsewhere)}
    assert json.loads(out) == expected
    assert "making .venv with Python" in err
    assert "Successfully installed vcfolio-0" in err, "pip's own progress is to be seen"
    (directory / "backend.py").unlink()  # another installation would fail
    code, out, err = project.run("run", "my fund.json", "--json", cwd=elsewhere)
    assert (code, json.loads(out), err) == (7, expected, "")


def test_a_command_in_the_users_directory_does_not_hide_the_products_modules(project, tmp_path):
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    assert project.run(cwd=tmp_path)[0] == 7


def test_two_at_the_same_time_set_up_once(project):
    project.close_gate()
    first = project.start("first")
    project.wait_at_gate()
    second = project.start("second")
    assert "another process is setting vcfolio up here" in second.stderr.readline()
    project.open_gate()
    assert finish(first)[0] == finish(second)[0] == 7
    assert project.installations() == 1


def test_a_set_up_that_was_killed_is_done_again_after_its_installer_has_ended(project):
    project.close_gate()
    first = project.start()
    project.wait_at_gate()
    first.kill()
    first.wait()
    for pipe in (first.stdout, first.stderr):  # not read to their end: the installer holds them too
        pipe.close()
    second = project.start()
    assert "another process is setting vcfolio up here" in second.stderr.readline(), "the installer is still at work"
    left_over = project.directory / ".venv" / "left-over"
    left_over.touch()
    project.open_gate()
    assert finish(second)[0] == 7
    assert project.installations() == 2
    assert not left_over.exists()


def test_an_installation_that_fails_is_told_in_one_line_and_tried_again(project):
    (project.directory / "broken").touch()
    code, out, err = project.run()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("vcfolio cannot be set up: `")
    assert err.splitlines()[-1].endswith("ended with exit code 3")
    assert "Traceback" not in err
    (project.directory / "broken").unlink()
    assert project.run()[0] == 7


def make_stale_requirements(directory: Path) -> None:
    (directory / "pyproject.toml").write_text(PYPROJECT + "# changed")


def make_stale_constraints(directory: Path) -> None:
    (directory / "constraints.txt").write_text("six==1\n")


def lose_interpreter(directory: Path) -> None:
    (directory / ".venv" / "bin" / "python").unlink()
    (directory / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")


def lose_stamp(directory: Path) -> None:
    (directory / ".venv" / "vcfolio.stamp").unlink()


@pytest.mark.parametrize("spoil", [make_stale_requirements, make_stale_constraints, lose_interpreter, lose_stamp])
def test_an_environment_that_does_not_fit_any_more_is_made_anew(project, spoil: Callable[[Path], None]):
    assert project.run()[0] == 7
    spoil(project.directory)
    code, _, err = project.run()
    assert code == 7
    assert "making .venv" in err
    assert project.installations() == 2
    assert project.run()[2] == ""


def test_a_moved_project_is_set_up_anew_since_its_environment_names_the_old_place(project, tmp_path):
    assert project.run()[0] == 7
    project.directory.rename(tmp_path / "moved")
    project.directory = tmp_path / "moved"
    project.path = f"{project.directory}/programs:/usr/bin:/bin"
    code, _, err = project.run()
    assert code == 7, err
    assert project.installations() == 2


def test_a_python_that_is_too_old_is_told_in_one_line():
    pretend = (
        "import runpy, sys; sys.version_info = (3, 10, 4); sys.version = '3.10.4 (main)'; runpy.run_path(sys.argv[1])"
    )
    answer = subprocess.run([sys.executable, "-c", pretend, str(RUN)], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "vcfolio needs Python 3.11 or newer, and this is 3.10.4\n"


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ((), 0),
        (("ruff check",), 3),
        (("mypy", "deployments.local.check_migrations"), 3),
        (("deployments.local.check_migrations",), 3),
    ],
)
def test_check_runs_every_step_and_the_first_failure_decides(script, tmp_path, capfd, failing, expected):
    interpreter = tmp_path / "python"
    patterns = "".join(f"*'{words}'*) exit {3 + place};; " for place, words in enumerate(failing))
    interpreter.write_text(f'#!/bin/sh\necho "ran $*"\ncase "$*" in {patterns} *) exit 0;; esac\n')
    interpreter.chmod(0o755)
    assert script.check(str(interpreter)) == expected
    out = capfd.readouterr().out
    steps = [line.removeprefix("== ") for line in out.splitlines() if line.startswith("== ")]
    assert steps == ["format", "lint", "types", "import rules", "migrations", "summary"]
    assert out.count("ran -") == 5
    summary = out.partition("== summary\n")[2]
    assert summary.count("FAILED") == len(failing)
    assert summary.count("passed") == 5 - len(failing)


@pytest.mark.parametrize("decided", [["-n", "0"], ["-n4"], ["--numprocesses=3"], ["--pdb"], ["-p", "no:xdist"]])
def test_tests_run_on_the_cores_there_are_unless_the_user_decides(script, decided, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)), raising=False)
    assert script.test_workers(["-k", "golden"]) == ["-n", "4"]
    assert script.test_workers(decided) == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {5})
    assert script.test_workers([]) == []
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert script.test_workers([]) == []


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], []),
        (["unit"], ["tests/unit"]),
        (["campaign", "-k", "kill"], ["tests/campaign", "-k", "kill"]),
        (["all"], ["tests"]),
        (["-k", "unit"], ["-k", "unit"]),
        (["tests/unit/core/test_strict.py", "-x"], ["tests/unit/core/test_strict.py", "-x"]),
    ],
)
def test_a_tier_is_named_in_one_word_and_paths_and_options_go_to_pytest_as_they_are(script, arguments, chosen):
    assert script.tests_of_tier(arguments) == chosen


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        ("sys.exit(print('No known vulnerabilities found', file=sys.stderr))", 0, "No known vulnerabilities found"),
        ("print('Name Version ID\\nx 1 CVE-1'); sys.exit(1)", 1, "CVE-1"),
        ("raise ConnectionError('no route')", 2, "cannot be reached from here, so nothing is known"),
    ],
    ids=["nothing known", "a fault", "no network"],
)
def test_audit_tells_nothing_known_from_nothing_asked(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    outcome: str, code: int, said: str,
) -> None:  # fmt: skip
    """pip-audit's exit code is 1 for both."""
    monkeypatch.setattr(script, "PROJECT", tmp_path)
    for directory in (tmp_path / ".tools" / "audit", tmp_path):
        (directory / "pip_audit").mkdir(parents=True)
        (directory / "pip_audit" / "__main__.py").write_text(f"import sys\n{outcome}\n")
    for place in (tmp_path / ".tools" / "audit" / "bin", tmp_path / ".venv" / "bin"):
        place.mkdir(parents=True)
        (place / "python").symlink_to(sys.executable)
    assert script.audit(script.Environment(tmp_path)) == code
    shown = capfd.readouterr()
    assert said in shown.out + shown.err
