"""What the matrix says of each bucket alone, against the library's own statistics."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.result.build import bucket_figures_of
from core.risk.bucket_stats import bucket_stats
from core.simulation.models import model_of
from tests.unit.core.examples import example_normalized


def _matrix(rows: list[list[float]]) -> ScenarioMatrix:
    state = ScenarioState("base", 0.0, (), ())
    keys = tuple(f"A_{number}" for number in range(len(rows)))
    moic = np.array(rows, dtype=np.float32)
    return ScenarioMatrix(moic, keys, np.full(len(rows), 0.125), [state] * moic.shape[1])


def test_a_bucket_of_five_scenarios_by_hand() -> None:
    (stats,) = bucket_stats(_matrix([[0.0, 1.0, 0.5, 4.0, 2.0]]))

    assert bucket_figures_of(stats).as_json() == {
        "bucketId": "A_0",
        "meanMoic": 1.5,
        "standardError": pytest.approx((2.5 / 5) ** 0.5),
        "medianMoic": 1.0,
        "p90Moic": pytest.approx(3.2),
        "lossShare": 0.4,
        "winProbability": 0.125,
    }


def test_a_single_scenario_tells_no_error() -> None:
    (stats,) = bucket_stats(_matrix([[2.5]]))

    assert stats.standard_error is None
    assert (stats.mean, stats.median, stats.p90) == (2.5, 2.5, 2.5)


def test_a_multiple_of_one_but_for_rounding_is_no_loss() -> None:
    (stats,) = bucket_stats(_matrix([[1.0, 1.0, 0.999]]))

    assert stats.loss_share == pytest.approx(1 / 3)


def test_the_stats_of_a_simulated_matrix_are_those_of_pythons_own_library() -> None:
    inputs = simulation_inputs(example_normalized(scenarioGenConfig={"scenarioCount": 700}).key_document)
    matrix = model_of("three_component_v2").generate(inputs)

    for stats, row in zip(bucket_stats(matrix), matrix.moic.tolist(), strict=True):
        assert stats.mean == pytest.approx(statistics.fmean(row))
        assert stats.standard_error == pytest.approx(statistics.stdev(row) / 700**0.5)
        assert stats.median == pytest.approx(statistics.median(row))
        assert stats.p90 == pytest.approx(statistics.quantiles(row, n=10, method="inclusive")[8])
        assert stats.loss_share == sum(multiple < 1 for multiple in row) / 700
