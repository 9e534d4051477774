"""The nearest point of a polyhedron meets the conditions that only it meets; emptiness is what HiGHS says it is."""

from __future__ import annotations

import highspy
import numpy as np
import pytest

from core.arrays import FloatArray
from core.solver.least_distance import nearest_to_origin
from tests.unit.core.oracles import exact_highs

Polyhedron = tuple[FloatArray, FloatArray]


def random_polyhedron(seed: int) -> Polyhedron:
    """With rows said twice, equations and, sometimes, nothing inside."""
    rng = np.random.Generator(np.random.Philox(seed))
    n, m = int(rng.integers(1, 15)), int(rng.integers(1, 40))
    rows, inside = rng.normal(size=(m, n)), rng.normal(size=n)
    floors = rows @ inside - rng.exponential(size=m) * (rng.random(m) < 0.6)
    if seed % 3 == 0:
        rows, floors = np.vstack([rows, 2.0 * rows[:3]]), np.append(floors, 2.0 * floors[:3])
    if seed % 4 == 0:
        rows, floors = np.vstack([rows, -rows[:1]]), np.append(floors, -floors[:1])
    return rows, floors


def solved(n_columns: int, rows: FloatArray, low: FloatArray, high: FloatArray, lower: float) -> bool:
    """Whether HiGHS finds x >= lower with low <= rows @ x <= high."""
    highs = exact_highs()
    for _ in range(n_columns):
        highs.addVar(lower, highspy.kHighsInf)
    for row, least, most in zip(rows, low, high, strict=True):
        highs.addRow(float(least), float(most), n_columns, np.arange(n_columns, dtype=np.int32), row)
    highs.run()
    return bool(highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_the_answer_is_a_combination_of_the_rows_that_hold_it(first: int) -> None:
    """y = active rows.T @ u with u >= 0: the conditions of Karush, Kuhn and Tucker, enough for a convex program."""
    found_any = False
    for seed in range(first, first + 30):
        rows, floors = random_polyhedron(seed)
        y = nearest_to_origin(rows, floors)
        if y is None:
            no_upper = np.full(len(floors), highspy.kHighsInf)
            assert not solved(rows.shape[1], rows, floors, no_upper, -highspy.kHighsInf)
            continue
        room = rows @ y - floors
        assert room.min() >= -1e-8
        active = rows[room <= 1e-8]
        if np.any(np.abs(y) > 1e-9):
            found_any = True
            assert solved(len(active), active.T, y - 1e-7, y + 1e-7, 0.0)
    assert found_any


def test_the_origin_is_its_own_nearest_point() -> None:
    y = nearest_to_origin(np.array([[1.0, 2.0]]), np.array([-1.0]))
    assert y is not None
    assert y.tolist() == [0.0, 0.0]


def test_rows_that_contradict_each_other_leave_nothing() -> None:
    assert nearest_to_origin(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 0.0])) is None
    assert nearest_to_origin(np.zeros((1, 2)), np.array([1.0])) is None


def test_an_empty_row_that_asks_nothing_is_kept_by_everything() -> None:
    y = nearest_to_origin(np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([0.0, 4.0]))
    assert y is not None
    assert y.tolist() == [0.0, 2.0]
