"""Calibration as a flow: the snapshot is stored, the artifact tells what it rests on, bad input fails the run."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from sqlalchemy import text

from core.errors import BadInput
from db.calibrations import load_snapshot
from db.engine import transaction
from flows.calibrate import calibrate
from tasks.calibrate import ARTIFACT_KEY
from tests.flow.flows.product import Product
from tests.history_files import write_history

pytestmark = pytest.mark.xdist_group("flows")


def newest_artifact() -> tuple[str, str]:
    with get_client(sync_client=True) as client:
        (artifact, *_) = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[ARTIFACT_KEY])), sort=ArtifactSort.CREATED_DESC
        )
    return artifact.description, artifact.data


def parameters(directory: Path, **changes: object) -> dict:
    files = {
        "companies": str(directory / "companies.csv"),
        "rounds": str(directory / "rounds.csv"),
        "mapping": str(directory / "mapping.toml"),
    }
    return {"fund": "Example Fund", "version": "flow_1", "as_of": "2020-01-01", **files, **changes}


def test_a_flow_stores_the_snapshot_and_an_artifact_on_the_data_it_rests_on(product: Product, tmp_path: Path) -> None:
    write_history(tmp_path)
    state = calibrate(**parameters(tmp_path), return_state=True)
    assert (state.is_completed(), state.message) == (True, "calibration flow_1 of Example Fund stored")
    with transaction(product.engine) as conn:
        snapshot = load_snapshot(conn, "flow_1")
    assert snapshot.method == "survival"
    description, report = newest_artifact()
    assert description == "Calibration flow_1 of Example Fund"
    expected = ("## Companies", "| read | 12 |", "## Rounds", "data:image/svg+xml;base64,", "Both methods side by side")
    assert [part for part in expected if part not in report] == []
    again = calibrate(**parameters(tmp_path), return_state=True)
    assert again.message == "calibration flow_1 of Example Fund was stored already"
    rows = calibrate(
        **parameters(tmp_path, version="flow_2", companies=None, rounds=None, mapping=None), return_state=True
    )
    assert rows.is_completed()
    with transaction(product.engine) as conn:
        assert load_snapshot(conn, "flow_2").transition_stats == snapshot.transition_stats


def test_a_benchmark_is_adopted_without_a_history(product: Product) -> None:
    state = calibrate(fund="Example Fund", version="flow_b", method="industry_benchmark", return_state=True)
    assert state.is_completed()
    assert "no history was read" in newest_artifact()[1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prior_weight": -1.0}, "priorWeight = -1.0: must be 0 or more"),
        ({"rounds": None}, "must be given all three"),
        ({"fund": "nobody's"}, "nobody's"),
        ({"as_of": None}, "asOf = None: must be given"),
    ],
)
def test_bad_input_fails_the_run_with_its_rule_and_nothing_is_stored(
    product: Product, tmp_path: Path, changes: dict, named: str
) -> None:
    write_history(tmp_path)
    state = calibrate(**parameters(tmp_path, **changes), return_state=True)
    assert state.is_failed()
    assert named in state.message
    with pytest.raises(BadInput):
        state.result()
    with transaction(product.engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM calibration_snapshots WHERE fund_id IS NOT NULL")) == 0
