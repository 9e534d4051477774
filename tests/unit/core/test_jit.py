"""Compiled code on disk: never stale, never in the way. Each process is a real one, in a small checkout of its own."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import errors, jit, own_files

PROJECT = Path(__file__).resolve().parents[3]

KERNELS = """
from core.jit import inlined, kernel
from core.simulation.rate import grown

@inlined
def halved(x):
    return 0.5 * x

@kernel
def total(values):
    result = 0.0
    for value in values:
        result += halved(grown(value))
    return result
"""
RATE = """
from core.jit import kernel

@kernel
def grown(x):
    return FACTOR * x
"""
WORK = """
import json, sys
import numpy as np
from core.solver.kernels import total
if "wait" in sys.argv:
    print("ready", flush=True)
    sys.stdin.readline()
value = total(np.arange(5.0))
stats = total.stats
print(json.dumps([value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]), flush=True)
"""
WORK_OF_MANY = """
import json
from core.solver import kernels
added = [getattr(kernels, f"added_{n}") for n in range(NUMBER)]
assert [kernel(1.0) for kernel in added] == [1.0 + n + 0.5 for n in range(NUMBER)]
print(json.dumps([sum(kernel.stats.cache_hits.values()) == 1 for kernel in added]))
"""


@dataclass(frozen=True)
class Outcome:
    value: float
    loaded: int
    compiled: int


class Checkout:
    """A project that holds the real core/jit.py and two kernels, one of which calls the other across packages."""

    def __init__(self, directory: Path, made: bool = False) -> None:
        self.directory = directory
        self.core = directory / "core"
        self.home = directory / "home"
        if not made:
            self._make()

    def _make(self) -> None:
        for package in (self.core, self.core / "solver", self.core / "simulation"):
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
        for module in (errors, jit, own_files):
            shutil.copy(str(module.__file__), self.core)
        (self.core / "solver" / "kernels.py").write_text(KERNELS)
        self.write_rate("2.0")
        (self.directory / "work.py").write_text(WORK)
        self.home.mkdir()

    def write_rate(self, factor: str) -> None:
        (self.core / "simulation" / "rate.py").write_text(RATE.replace("FACTOR", factor))

    def write_kernels(self, number: int) -> None:
        """So many in one module, for `loaded_kernels`."""
        kernels = "".join(f"@kernel\ndef added_{n}(x):\n    return x + {n}.5\n" for n in range(number))
        (self.core / "solver" / "kernels.py").write_text(f"from core.jit import kernel\n{kernels}")
        (self.directory / "work.py").write_text(WORK_OF_MANY.replace("NUMBER", str(number)))

    def loaded_kernels(self) -> list[bool]:
        """Of each kernel, whether a new process loaded it; it compiled the others. All of them work."""
        out, err = self.start().communicate(timeout=120)
        assert err == ""
        loaded: list[bool] = json.loads(out)
        return loaded

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        settings = {"PATH": os.defpath, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        return subprocess.Popen(
            [sys.executable, str(self.directory / "work.py"), *arguments],
            cwd=self.directory,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **environment: str) -> Outcome:
        return finished(self.start(**environment))

    def stored(self) -> list[Path]:
        return sorted(self.directory.rglob("*.kernel"))

    def make_read_only(self) -> None:
        """Nothing can be made where a file stands; to root, permissions would say nothing."""
        shutil.rmtree(self.core / "__pycache__", ignore_errors=True)
        (self.core / "__pycache__").write_text("")


def finished(process: subprocess.Popen[str], answer: str = "") -> Outcome:
    out, err = process.communicate(answer, timeout=120)
    assert (process.returncode, err) == (0, "")
    return Outcome(*json.loads(out.splitlines()[-1]))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = Checkout(tmp_path_factory.mktemp("compiled") / "checkout")
    assert checkout.run() == Outcome(10.0, loaded=0, compiled=1)
    assert [path.parent.parent for path in checkout.stored()] == [checkout.core / "__pycache__"] * 2
    return checkout.directory


@pytest.fixture
def compiled(compiled_once: Path, tmp_path: Path) -> Checkout:
    """A checkout whose kernels are compiled and stored: a copy, since compiling takes longer."""
    directory = tmp_path / "compiled"
    shutil.copytree(compiled_once, directory)
    return Checkout(directory, made=True)


def test_a_second_process_loads_what_the_first_compiled(compiled: Checkout) -> None:
    assert compiled.run() == Outcome(10.0, loaded=1, compiled=0)


def test_an_edit_of_a_kernel_in_another_package_reaches_its_callers(compiled: Checkout) -> None:
    compiled.write_rate("4.0")
    assert compiled.run() == Outcome(20.0, loaded=0, compiled=1)


def test_a_read_only_checkout_keeps_its_kernels_in_the_users_cache(checkout: Checkout) -> None:
    checkout.make_read_only()
    assert checkout.run().compiled == 1
    assert all(path.is_relative_to(checkout.home / ".cache" / "vcfolio") for path in checkout.stored())
    assert checkout.run() == Outcome(10.0, loaded=1, compiled=0)


@pytest.mark.parametrize("home", ["/proc/nowhere", "work.py"])
def test_without_any_place_to_write_kernels_are_compiled_each_time(checkout: Checkout, home: str) -> None:
    checkout.make_read_only()
    unwritable = str(checkout.directory / "work.py" / "cache")
    home = str(checkout.directory / home) if home == "work.py" else home
    assert checkout.run(HOME=home, NUMBA_CACHE_DIR=unwritable) == Outcome(10.0, loaded=0, compiled=1)
    assert checkout.stored() == []


def test_a_named_cache_directory_is_used_and_one_that_cannot_be_written_is_passed_over(checkout: Checkout) -> None:
    named = checkout.directory / "named"
    assert checkout.run(NUMBA_CACHE_DIR=str(named)).compiled == 1
    assert all(path.is_relative_to(named) for path in checkout.stored())
    assert checkout.run(NUMBA_CACHE_DIR=str(named)).loaded == 1
    shutil.rmtree(named)
    named.write_text("")
    assert checkout.run(NUMBA_CACHE_DIR=str(named)).compiled == 1
    assert all(path.is_relative_to(checkout.core) for path in checkout.stored())


def test_kernels_that_an_installation_has_are_loaded_though_its_directory_cannot_be_written(compiled: Checkout) -> None:
    directory = compiled.stored()[0].parent
    before = sorted(directory.iterdir())
    directory.chmod(0o555)
    try:
        assert compiled.run(HOME="/proc/nowhere") == Outcome(10.0, loaded=1, compiled=0)
    finally:
        directory.chmod(0o755)
    assert sorted(directory.iterdir()) == before


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut in the checksum": lambda whole: whole[:7],
    "cut in the code": lambda whole: whole[: len(whole) // 2],
    "last byte missing": lambda whole: whole[:-1],
    "garbage": lambda whole: bytes(range(256)) * 40,
    "whole, but of something else": lambda whole: hashlib.sha256(b"something else").digest() + b"something else",
}


def test_a_damaged_file_is_compiled_anew_and_replaced_whatever_the_damage(checkout: Checkout) -> None:
    checkout.write_kernels(len(DAMAGES))
    assert checkout.loaded_kernels() == [False] * len(DAMAGES)
    for path, damaged in zip(checkout.stored(), DAMAGES.values(), strict=True):
        path.write_bytes(damaged(path.read_bytes()))
    assert checkout.loaded_kernels() == [False] * len(DAMAGES)
    assert checkout.loaded_kernels() == [True] * len(DAMAGES)


@pytest.mark.parametrize("planted", ["writable by others", "of another user", "a link"])
def test_a_file_that_others_can_have_written_is_not_executed(checkout: Checkout, tmp_path: Path, planted: str) -> None:
    """Compiled code is a pickle, and machine code besides."""
    checkout.run()
    for path in checkout.stored():
        if planted == "writable by others":
            path.chmod(0o666)
        elif planted == "a link":
            path.rename(tmp_path / path.name)
            path.symlink_to(tmp_path / path.name)
        elif os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        else:
            pytest.skip("only root can give a file away")
    assert checkout.run() == Outcome(10.0, loaded=0, compiled=1)
    assert checkout.run() == Outcome(10.0, loaded=1, compiled=0)


def test_a_directory_of_another_user_is_neither_read_nor_written(checkout: Checkout) -> None:
    """Such as one in a NUMBA_CACHE_DIR that several users share."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    shared = checkout.directory / "shared"
    checkout.run(NUMBA_CACHE_DIR=str(shared))
    (directory,) = shared.iterdir()
    os.chown(directory, 65534, 65534)
    assert checkout.run(NUMBA_CACHE_DIR=str(shared)) == Outcome(10.0, loaded=0, compiled=1)
    assert checkout.run(NUMBA_CACHE_DIR=str(shared)) == Outcome(10.0, loaded=1, compiled=0)


def test_a_directory_of_ours_that_others_may_write_is_closed_to_them(checkout: Checkout) -> None:
    checkout.run()
    directory = checkout.stored()[0].parent
    directory.chmod(0o777)
    assert checkout.run() == Outcome(10.0, loaded=1, compiled=0)
    assert directory.stat().st_mode & 0o022 == 0


def test_processes_that_compile_at_the_same_time_do_not_disturb_each_other(checkout: Checkout) -> None:
    processes = [checkout.start("wait") for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert {finished(process).value for process in processes} == {10.0}
    assert checkout.run() == Outcome(10.0, loaded=1, compiled=0)
    assert sorted(checkout.stored()[0].parent.iterdir()) == checkout.stored()


def test_code_for_another_processor_is_not_loaded(compiled: Checkout) -> None:
    assert compiled.run(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="").compiled == 1
    assert len(compiled.stored()) == 4


def test_importing_the_solver_and_the_simulation_writes_nothing_and_looks_for_no_cache() -> None:
    code = """
import sys

def watch(event, arguments):
    if event in ("os.mkdir", "os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp"):
        print(event, arguments)
    if event == "open" and ("kernels-" in str(arguments[0]) or (arguments[2] or 0) & 3):
        print(event, arguments)

sys.addaudithook(watch)
import core.solver.branch_and_bound.search.solve, core.simulation.models
assert "numba" in sys.modules
"""
    outcome = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert outcome.stdout == ""


def test_the_digest_and_the_stamp_of_the_set_up_cover_every_module_with_kernels() -> None:
    covered = set(jit.source_files())
    for path in (PROJECT / "core").rglob("*.py"):
        if any(imported == "core.jit" for imported in imports_of(path)) and path.name != "warmup.py":
            assert path in covered, path
    tree = ast.parse((PROJECT / "run").read_text(encoding="utf-8"))
    assigned = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(assigned["KERNEL_SOURCES"]) == jit.SOURCES


def imports_of(path: Path) -> list[str | None]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
