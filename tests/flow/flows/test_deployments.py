"""prefect.yaml names flows that a worker can import wherever the product is installed."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from prefect import Flow

from deployments.shipped_files import prefect_file

pytestmark = pytest.mark.xdist_group("flows")

ENTRYPOINTS = re.findall(r"^ +entrypoint: (.*)$", prefect_file().read_text(), re.MULTILINE)


def test_there_are_deployments() -> None:
    assert len(ENTRYPOINTS) >= 6


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_each_deployment_names_its_flow_by_module(entrypoint: str) -> None:
    module, _, name = entrypoint.rpartition(".")
    assert isinstance(getattr(import_module(module), name), Flow)
