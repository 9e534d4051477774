"""A Dask scheduler that does not answer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.simulation.block_ranges import BlockRange


def test_a_dask_scheduler_that_does_not_answer_is_said_to_be_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.block_ranges import in_block_ranges  # noqa: PLC0415 - Prefect reads its settings when it is imported
    from tasks.large_matrix import matrix_block_range  # noqa: PLC0415 - Prefect reads its settings when it is imported
    from tests.flow.flows.test_parts import _settings, _tell  # noqa: PLC0415 - Prefect reads its settings when it is imported

    pytest.importorskip("prefect_dask", reason="an extra: pip install 'vcfolio[dask]'")
    timeouts = importlib.import_module("distributed").config["distributed"]["comm"]["timeouts"]
    monkeypatch.setitem(timeouts, "connect", "1s")
    settings = _settings(tmp_path, "dask").model_copy(update={"dask_address": "tcp://127.0.0.1:9"})
    with pytest.raises(Unavailable, match=r"task runner dask cannot begin: .*tcp://127\.0\.0\.1:9"):
        in_block_ranges(matrix_block_range, [BlockRange(0, 1_000)], {}, settings, _tell)
