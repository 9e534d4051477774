"""No module of ours imports itself by way of others, imports inside of functions included."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
PACKAGES = ("core", "db", "tasks", "flows", "api", "deployments", "vcfolio")
APART = (("core.charts", "core.calibration"), ("core.risk", "core.matrix"), ("core.matrix.reduction", "core.request"))
"""Packages of which the second imports nothing of the first."""


def imported_modules(source: str, module: str, known: set[str]) -> set[str]:
    """Those of `known` that the source of `module` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.split(".")[: -node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            found |= {f"{name}.{alias.name}" if f"{name}.{alias.name}" in known else name for alias in node.names}
    return (found & known) - {module}


def imports_of(sources: dict[str, str]) -> dict[str, set[str]]:
    return {module: imported_modules(source, module, set(sources)) for module, source in sources.items()}


def project_sources() -> dict[str, str]:
    sources = {}
    for package in PACKAGES:
        for path in (PROJECT / package).rglob("*.py"):
            parts = path.relative_to(PROJECT).with_suffix("").parts
            sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return sources


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = imports_of(project_sources())
    assert len(graph) > 200
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(("above", "below"), APART)
def test_a_package_imports_nothing_of_the_one_above_it(above: str, below: str) -> None:
    graph = imports_of(project_sources())
    inside = {module: found for module, found in graph.items() if module.startswith((f"{below}.", below))}
    assert inside
    backwards = {(module, name) for module, found in inside.items() for name in found if name.startswith(above)}
    assert backwards == set()


def test_a_circle_by_an_import_inside_of_a_function_is_found() -> None:
    graph = imports_of({"a": "import b", "b": "def f():\n    from c import x", "c": "from a import y"})
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()
