"""Files that the product brings beside its code: the example requests, and the deployments that Prefect is told of.

They are at the top of the project, and `pyproject.toml` copies them into the wheel as `deployments/shipped/`.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Of an installed package, or of the checkout that this is. name: such as `examples/fund.json`."""
    installed = _PACKAGE / "shipped"
    return (installed if installed.is_dir() else _PACKAGE.parent) / name


def example_request() -> Path:
    """What `vcfolio` without arguments carries out."""
    return shipped("examples/fund.json")


def prefect_file() -> Path:
    """prefect.yaml, which registers the deployments."""
    return shipped("prefect.yaml")
