"""Sectors share evenly where nothing tells them apart, and only there."""

from __future__ import annotations

import dataclasses

import pytest

from core.portfolio.exchangeable import exchangeable_buckets, split_by_bounds
from core.request.normalized_config import WeightBounds
from core.simulation.inputs import SimulationInputs
from core.stages import Stage
from tests.unit.core.simulated_fund import config_of, copula_inputs


def groups(inputs: SimulationInputs) -> list[list[str]]:
    """The bucket keys of each group."""
    return [[inputs.buckets[b].key for b in group] for group in exchangeable_buckets(inputs)]


def changed(inputs: SimulationInputs, key: str, **fields: float) -> SimulationInputs:
    buckets = [dataclasses.replace(b, **fields) if b.key == key else b for b in inputs.buckets]
    return dataclasses.replace(inputs, buckets=tuple(buckets))


def test_sectors_of_one_distribution_are_one_group_a_stage() -> None:
    assert groups(copula_inputs(3)) == [[f"{stage}_S0{i}" for i in range(3)] for stage in ("A", "B", "C", "Seed")]


@pytest.mark.parametrize(
    "field",
    [
        "median_moic",
        "p90_moic",
        "reserve_ratio",
        "initial_check_size",
        "check_size_cv",
        "rounds_to_exit",
        "sector_risk_multiplier",
        "sector_return_multiplier",
    ],
)
def test_a_sector_that_differs_in_any_figure_of_any_stage_stands_alone(field: str) -> None:
    inputs = copula_inputs(3)
    inputs = changed(inputs, "B_S01", **{field: getattr(inputs.buckets[0], field) * 1.01})
    assert groups(inputs)[:2] == [["A_S00", "A_S02"], ["A_S01"]]


def test_a_sector_without_one_of_the_stages_stands_alone() -> None:
    inputs = copula_inputs(3)
    fewer = dataclasses.replace(inputs, buckets=tuple(b for b in inputs.buckets if b.key != "C_S00"))
    assert ["A_S00"] in groups(fewer)
    assert ["A_S01", "A_S02"] in groups(fewer)


def test_correlations_tell_sectors_apart() -> None:
    """S00 and S01 move together, S02 with neither: the first two may change places."""
    rows = ((1.0, 0.5, 0.2), (0.5, 1.0, 0.2), (0.2, 0.2, 1.0))
    inputs = copula_inputs(3, correlation=(("S00", "S01", "S02"), rows))
    assert groups(inputs)[:2] == [["A_S00", "A_S01"], ["A_S02"]]


def test_pairs_that_move_alike_with_each_other_are_not_exchangeable_across_pairs() -> None:
    pair = 0.6
    rows = tuple(
        tuple(1.0 if i == j else pair if {i, j} in ({0, 1}, {2, 3}) else 0.0 for j in range(4)) for i in range(4)
    )
    inputs = copula_inputs(4, correlation=(tuple(f"S0{i}" for i in range(4)), rows))
    assert groups(inputs)[:2] == [["A_S00", "A_S01"], ["A_S02", "A_S03"]]


def test_bounds_split_a_group() -> None:
    inputs = copula_inputs(3)
    config = config_of(
        inputs, sector_bounds={"S01": WeightBounds(max=0.5)}, stage_bounds={Stage.A: WeightBounds(max=0.9)}
    )
    split = split_by_bounds(exchangeable_buckets(inputs), config)
    assert [[inputs.buckets[b].key for b in group] for group in split][:2] == [["A_S00", "A_S02"], ["A_S01"]]
