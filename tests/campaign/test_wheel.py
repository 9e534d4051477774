"""The built wheel, installed in a bare environment outside of the checkout, does the product's jobs.

The environment borrows what the wheel depends on from the one that runs the tests: its directory is on the path, but
the editable installation in it is not, since path files count only in an environment's own directory.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_request import SMALL

PROJECT = Path(__file__).resolve().parents[2]
READY = "ready: worker, maintenance, bridge, api"
READY_PATIENCE_S = 500.0
"""The warm worker compiles the solver first, where no command has done it."""
STOP_PATIENCE_S = 90.0

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of programs of an environment that holds the wheel and nothing else of its own."""
    directory = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", str(PROJECT), "--no-deps", "--no-build-isolation", "-w", str(directory)]
    subprocess.run(build, check=True, capture_output=True, cwd=directory)
    (wheel,) = directory.glob("*.whl")
    root = directory / "environment"
    venv.create(root, with_pip=False)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(root), "platbase": str(root)}))
    (libraries / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = root / "bin" / "python"
    install = [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, cwd=directory)
    return root / "bin"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def variables(home: Path) -> dict[str, str]:
    """A user who has nothing but a home, and no other server to use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"HOME": str(home), "PATH": "/usr/bin:/bin", "VCFOLIO_API_PORT": str(port), "NO_COLOR": "1"}


def test_every_package_comes_from_the_wheel(environment: Path, variables: dict[str, str], home: Path) -> None:
    packages = ["core", "db", "tasks", "flows", "api", "deployments", "vcfolio"]
    program = f"import {', '.join(packages)}\nfor each in ({', '.join(packages)}): print(each.__file__)"
    done = subprocess.run(
        [environment / "python", "-c", program], env=variables, cwd=home, capture_output=True, text=True, check=True
    )
    files = [Path(line) for line in done.stdout.splitlines()]
    assert len(files) == len(packages)
    assert all(file.is_relative_to(environment.parent) for file in files)


def test_the_main_job_runs_the_shipped_example(environment: Path, variables: dict[str, str], home: Path) -> None:
    done = subprocess.run(
        [environment / "vcfolio"], env=variables, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Allocation" in done.stdout
    assert "Session " in done.stdout


@pytest.fixture
def stack(environment: Path, variables: dict[str, str], home: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [environment / "vcfolio", "up"], env=variables, cwd=home, stderr=subprocess.PIPE, stdout=2, text=True
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_the_stack_comes_up_carries_a_request_and_stops_on_ctrl_c(
    environment: Path, variables: dict[str, str], home: Path, stack: subprocess.Popen[str]
) -> None:
    """What a worker carries out it imports from the wheel: the deployments name their flows by module."""
    assert stack.stderr is not None
    deadline, said = time.monotonic() + READY_PATIENCE_S, []
    for line in stack.stderr:
        said.append(line)
        assert time.monotonic() < deadline, "".join(said)
        if line.startswith(READY):
            break
    else:
        pytest.fail(f"the stack ended by itself: {''.join(said)}")
    example = environment.parent.joinpath("small.json")
    example.write_text(json.dumps(SMALL))

    def vcfolio(*arguments: str) -> str:
        command = [environment / "vcfolio", *arguments]
        return subprocess.run(command, env=variables, cwd=home, stdout=subprocess.PIPE, text=True, check=True).stdout

    session_id = json.loads(vcfolio("request", str(example), "--json"))["sessionId"]
    last = vcfolio("status", session_id, "--watch", "--json").splitlines()[-1]
    assert json.loads(last)["status"] == "COMPLETED"
    stack.send_signal(signal.SIGINT)
    _out, rest = stack.communicate(timeout=STOP_PATIENCE_S)
    assert stack.returncode == 0
    assert rest.splitlines()[-1] == "stopped"
