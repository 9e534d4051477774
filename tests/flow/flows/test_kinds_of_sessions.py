"""Sessions that differ in kind, each from its request to its end, in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from core.canonical import canonical_json
from core.session_states import SessionStatus
from db.calibrate import CalibrationOrder, HistoryFiles, calibrate
from db.engine import transaction
from db.fault_points import held
from db.funds import add_fund, local_user_id
from db.matrices import read_reference
from db.session_rows import SessionRow
from db.sessions import cancel
from tasks.stored_matrix import load_matrix
from tests.flow.flows.product import PATIENCE_S, Product, in_background
from tests.history_files import write_history

pytestmark = pytest.mark.xdist_group("flows")

LOOSE = {"maxLossProbability": 1, "cvarLimit": 1}
SECTORS = ("AI", "Health")
OPEN_AT_ITS_WORK_LIMIT: dict[str, Any] = {
    "buckets": {"stages": ["Seed", "A", "B", "C"], "sectors": [f"S{number}" for number in range(12)]},
    "maxLossProbability": 0.12,
    "cvarLimit": 0.3,
    "minExpectedWinners": 1.75,
    "bucketMaxWeight": 0.15,
    "scenarioGenConfig": {"scenarioCount": 400},
    "workLimit": 3000,
    "expectations": "sample",
    "taxonomyVersion": "fffd945f7a9677ea4279504f614a35",
}
"""On its scenarios a portfolio is found at once, and far more work is needed to prove the best one."""


@dataclass(frozen=True)
class Ended:
    """The sessions of one scenario at their end, in the order in which they were asked."""

    product: Product
    sessions: list[SessionRow]

    @property
    def session(self) -> SessionRow:
        (only,) = self.sessions
        return only

    @property
    def solved(self) -> dict[str, Any]:
        assert self.session.solver_metadata is not None, self.session.error_reason
        return dict(self.session.solver_metadata)

    @property
    def validated(self) -> dict[str, Any]:
        assert self.session.validation_metrics is not None, self.session.error_reason
        return dict(self.session.validation_metrics)

    def weights(self, by: str) -> dict[str, float]:
        """Summed over buckets of the same `stage`, `sector` or `bucketId`."""
        sums: dict[str, float] = defaultdict(float)
        for entry in self.session.allocation or []:
            sums[entry[by]] += entry["weight"]
        return dict(sums)

    def sector_correlation(self) -> float:
        """Between the mean multiples of the two sectors, over the scenarios of the stored matrix."""
        with transaction(self.product.engine) as conn:
            reference = read_reference(conn, self.session.matrix_key)
        assert reference is not None
        matrix = load_matrix(self.product.engine, reference)
        means = [
            np.log(matrix.moic[[key.endswith(sector) for key in matrix.bucket_keys]].mean(axis=0) + 0.01)
            for sector in SECTORS
        ]
        return float(np.corrcoef(means)[0, 1])


Ask = Callable[[Product], list[SessionRow]]


def _ended(product: Product, **changes: Any) -> SessionRow:
    """A new session at its end, whichever that is."""
    fence = product.ask(**changes)
    product.run(fence)
    return product.session(fence)


def _ask(**changes: Any) -> Ask:
    return lambda product: [_ended(product, **changes)]


def _plain(ended: Ended) -> None:
    assert (ended.solved["solver"]["status"], ended.solved["relaxations"]) == ("optimal", [])
    assert all(constraint["satisfied"] for constraint in ended.solved["constraints"])
    assert ended.validated["feasible"]


def _relaxed(ended: Ended) -> None:
    """More winners are asked for than there can be; that limit gives way and no other."""
    (moved,) = ended.solved["relaxations"]
    assert (moved["constraintId"], moved["oldValue"]) == ("expected_winners_min", 40)
    assert moved["newValue"] < 40
    assert "expected_winners_min" in ended.solved["conflict"]["constraints"]
    assert ended.validated["feasible"]


def _infeasible(ended: Ended) -> None:
    assert (ended.session.status, ended.session.error_code) == (SessionStatus.FAILED, "infeasible")
    assert "expected winners" in str(ended.session.error_reason).lower()
    assert ended.session.allocation is None


def _forced(ended: Ended) -> None:
    assert ended.weights("stage") == pytest.approx({"Seed": 0.3, "A": 0.7}, abs=1e-7)
    assert ended.weights("sector") == pytest.approx({"AI": 0.25, "Health": 0.75}, abs=1e-7)
    assert max(ended.weights("bucketId").values()) <= 0.6 + 1e-7


def _dominated(ended: Ended) -> None:
    assert ended.weights("bucketId") == pytest.approx({"A_Health": 0, "B_AI": 1, "Seed_AI": 0}, abs=1e-9)


def _correlated(ended: Ended) -> None:
    """Sectors that move together almost as one do so in the matrix; the same request without is the against."""
    together, apart = (Ended(ended.product, [session]) for session in ended.sessions)
    assert together.session.matrix_key != apart.session.matrix_key
    assert together.sector_correlation() > apart.sector_correlation() + 0.1
    assert together.session.status is SessionStatus.COMPLETED


def _ask_correlated(product: Product) -> list[SessionRow]:
    both = []
    for matrix in ([[1, 0.95], [0.95, 1]], None):
        scenarios = {"scenarioCount": 1000, "companiesPerBucket": 100}
        # The economy moves all sectors; the less it does, the more is left to the sectors themselves.
        scenarios |= {"varianceShares": {"regime": 0.4, "sector": 0.3, "own": 0.3}}
        scenarios |= {} if matrix is None else {"regimeConfig": {"correlationMatrix": matrix}}
        both.append(_ended(product, scenarioGenConfig=scenarios, **LOOSE))
    return both


def _ask_own_history(product: Product) -> list[SessionRow]:
    """A fund of its own, calibrated by survival analysis on its rows; the newest calibration needs no naming."""
    with TemporaryDirectory() as directory:
        write_history(Path(directory))
        files = (Path(directory) / name for name in ("companies.csv", "rounds.csv", "mapping.toml"))
        with transaction(product.engine) as conn:
            fund = add_fund(conn, "Fund with a history", local_user_id(conn))
        order = CalibrationOrder(
            fund=str(fund.id),
            version="own_rows",
            as_of=date(2020, 1, 1),
            files=HistoryFiles(*files),
            method="survival",
        )
        calibrate(lambda: transaction(product.engine), order)
    return [_ended(product, fundId=str(fund.id), calibrationVersion=None, buckets=None, **LOOSE)]


def _own_history(ended: Ended) -> None:
    assert ended.session.status is SessionStatus.COMPLETED
    assert ended.session.normalized_config["calibration_version"] == "own_rows"
    method = "SELECT method FROM calibration_snapshots WHERE version = 'own_rows'"
    assert ended.product.sql(method) == [("survival",)]


def _reduced(ended: Ended) -> None:
    """Forty scenarios stand for four hundred, and the answer is judged on all of these."""
    layout = "SELECT s_opt FROM scenario_matrices WHERE matrix_key = :key"
    assert ended.product.sql(layout, key=ended.session.matrix_key) == [(40,)]
    assert ended.validated["generated"]["reduction"]["generated"] == 400
    assert ended.session.status is SessionStatus.COMPLETED


def _ask_twice(product: Product) -> list[SessionRow]:
    """The second must make its matrix anew."""
    sessions = []
    for _ in range(2):
        sessions.append(_ended(product))
        product.sql("DELETE FROM scenario_matrices WHERE matrix_key = :key", key=sessions[-1].matrix_key)
    return sessions


def _repeated(ended: Ended) -> None:
    first, second = ended.sessions
    for stored in ("matrix_key", "normalized_config", "allocation", "pass1_e_star", "validation_metrics"):
        assert canonical_json(getattr(first, stored)) == canonical_json(getattr(second, stored)), stored
    made = "SELECT outcome, payload_sha256 FROM matrix_generations WHERE matrix_key = :key"
    generations = ended.product.sql(made, key=first.matrix_key)
    assert len(generations) == 2
    assert len(set(generations)) == 1


def _ask_cancel_ask(product: Product) -> list[SessionRow]:
    """The second attempt is a new session, as it must be."""
    first = product.ask()
    with held("optimize.solving"), in_background(product.run, first) as running:
        product.until(lambda: "step" in (product.session(first).progress or {}))
        with transaction(product.engine) as conn:
            assert cancel(conn, first.session_id, "the partners want to think about it")
        assert running.result(timeout=PATIENCE_S).name == "Cancelled"
    return [product.session(first), _ended(product)]


def _cancelled(ended: Ended) -> None:
    cancelled, retried = ended.sessions
    assert (cancelled.status, cancelled.error_code) == (SessionStatus.FAILED, "cancelled")
    assert cancelled.allocation is None
    assert (retried.status, retried.epoch) == (SessionStatus.COMPLETED, 0)


def _out_of_work(ended: Ended) -> None:
    """The best portfolio found, with what is proven of it."""
    solver = ended.solved["solver"]
    assert (solver["status"], solver["reproducible"]) == ("feasible", True)
    assert solver["gap"] > 1e-4
    assert ended.validated["feasible"]


def _no_answer(ended: Ended) -> None:
    assert (ended.session.status, ended.session.error_code) == (SessionStatus.FAILED, "no_answer_within_limit")


def _first_model(ended: Ended) -> None:
    assert ended.session.status is SessionStatus.COMPLETED
    assert ended.session.normalized_config["sim_model_version"] == "three_component_v1"
    assert "copula" not in ended.session.matrix_key_json["policy_params"]


KINDS: dict[str, tuple[Ask, Callable[[Ended], None]]] = {
    "plain": (_ask(**LOOSE), _plain),
    "limits relaxed": (_ask(minExpectedWinners=40), _relaxed),
    "infeasible, and nothing may be relaxed": (_ask(minExpectedWinners=40, relaxationMode="off"), _infeasible),
    "bounds that leave little to choose": (
        _ask(
            **LOOSE,
            stageBounds={"Seed": {"min": 0.3, "max": 0.3}},
            sectorBounds={"AI": {"max": 0.25}, "Health": {"max": 0.75}},
            bucketMaxWeight=0.6,
        ),
        _forced,
    ),
    "one bucket better than all others": (
        _ask(
            **LOOSE,
            primaryLockEpsilon=0,
            buckets=[
                {"stage": "Seed", "sector": "AI"},
                {"stage": "A", "sector": "Health"},
                {"stage": "B", "sector": "AI", "medianMoic": 20, "p90Moic": 60},
            ],
        ),
        _dominated,
    ),
    "sectors that move together": (_ask_correlated, _correlated),
    "calibrated by survival on the fund's rows": (_ask_own_history, _own_history),
    "scenarios chosen from many": (
        _ask(**LOOSE, scenarioGenConfig={"scenarioCount": 40, "generatedScenarios": 400}, expectations="sample"),
        _reduced,
    ),
    "asked twice, the same to the byte": (_ask_twice, _repeated),
    "cancelled and asked again": (_ask_cancel_ask, _cancelled),
    "out of work with an answer": (_ask(**OPEN_AT_ITS_WORK_LIMIT), _out_of_work),
    "out of work without an answer": (_ask(maxLossProbability=0.2, workLimit=1), _no_answer),
    "the first model": (
        _ask(**LOOSE, modelVersion="three_component_v1", calibrationVersion="us_venture_2004_2013"),
        _first_model,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_session_of_each_kind_ends_as_it_should(product: Product, name: str) -> None:
    ask, check = KINDS[name]
    ended = Ended(product, ask(product))
    check(ended)
    for session in ended.sessions:
        jobs = "SELECT count(*) FROM job_outbox WHERE session_id = :id"
        assert product.sql(jobs, id=session.session_id) == [(1,)]
