"""prefect.yaml names flows that a worker can import wherever the product is installed."""

from __future__ import annotations

import re
import subprocess
import sys

from deployments.shipped_files import prefect_file

ENTRYPOINTS = re.findall(r"^ +entrypoint: (.*)$", prefect_file().read_text(), re.MULTILINE)


def test_there_are_deployments() -> None:
    assert len(ENTRYPOINTS) >= 6


def test_each_deployment_names_its_flow_by_module() -> None:
    """In a process of its own: tests of flows configure Prefect before it is imported."""
    code = (
        "import sys\nfrom importlib import import_module\nfrom prefect import Flow\n"
        "for entrypoint in sys.argv[1:]:\n"
        "    module, _, name = entrypoint.rpartition('.')\n"
        "    assert isinstance(getattr(import_module(module), name), Flow), entrypoint"
    )
    outcome = subprocess.run([sys.executable, "-c", code, *ENTRYPOINTS], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
