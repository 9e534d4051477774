"""Whether the tie-break's answer is the only one: by hand, and against enumeration of every set of losses."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from core.arrays import FloatArray
from core.errors import Cancelled
from core.portfolio.strict import normalize_weights
from core.portfolio.tie_break import deviations, tie_break_program, weights_of, with_objective_floor
from core.portfolio.uniqueness import WEIGHT_TOLERANCE, Uniqueness, only_as_close
from core.result.model import TieBreak
from core.result.sentences import uniqueness_sentence
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.feasibility import is_feasible
from core.solver.program import ChanceProgram, Polytope, SolveControl, SolverBackend
from core.solver.textbook import TextbookBackend
from tests.unit.core.oracles import exact_highs, is_solved, random_program

CONTROL = SolveControl(work_limit=300_000)
BACKENDS: tuple[SolverBackend, ...] = (TextbookBackend(), BranchAndBoundBackend())


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> SolverBackend:
    return request.param


def program_of(
    payoffs: list[list[float]], *, max_losses: int, objective: list[float], cap: float = 1.0
) -> ChanceProgram:
    """payoffs: one row a scenario."""
    n = len(objective)
    return ChanceProgram(
        objective=np.array(objective),
        polytope=Polytope(np.ones((1, n)), np.ones(1), np.ones(1), np.zeros(n), np.full(n, cap)),
        payoffs=np.array(payoffs),
        payoff_offset=np.zeros(len(payoffs)),
        max_losses=max_losses,
        cvar_confidence=0.0,
        cvar_limit=np.inf,
        cvar_slack=np.zeros(n),
    )


def most_even(program: ChanceProgram, floor: float, backend: SolverBackend) -> FloatArray | None:
    """The tie-break's answer; None where no portfolio reaches the floor."""
    second = backend.maximize(tie_break_program(program, floor), CONTROL)
    assert second.status in ("optimal", "infeasible")
    return None if second.x is None else normalize_weights(weights_of(second.x))


def asked(program: ChanceProgram, floor: float, weights: FloatArray, backend: SolverBackend, **how: Any) -> Uniqueness:
    arguments = {"control": CONTROL, "tie_break_work": CONTROL.work_limit, "proven": True} | how
    found = only_as_close(program, floor, weights, backend, **arguments)
    assert (found.unique is False) == (found.witness is not None)
    if found.witness is not None:
        other = found.witness.weights
        assert is_feasible(with_objective_floor(program, floor), other)
        assert deviations(other).sum() <= deviations(weights).sum() + 1.1e-7
        difference = other - weights
        assert found.witness.difference == difference[found.witness.bucket]
        assert abs(found.witness.difference) == np.abs(difference).max() > WEIGHT_TOLERANCE
    return found


def test_one_best_exchange_makes_the_answer_unique(backend: SolverBackend) -> None:
    program = program_of([[3.0, 2.0, 1.0]], max_losses=1, objective=[3.0, 2.0, 1.0])
    weights = most_even(program, 2.5, backend)
    assert weights == pytest.approx([1 / 3 + 0.25, 1 / 3, 1 / 3 - 0.25], abs=1e-6)
    assert asked(program, 2.5, weights, backend).unique


def test_of_two_equal_buckets_either_may_take_what_the_third_gives(backend: SolverBackend) -> None:
    program = program_of([[3.0, 3.0, 1.0]], max_losses=1, objective=[3.0, 3.0, 1.0])
    weights = most_even(program, 2.8, backend)
    found = asked(program, 2.8, weights, backend)
    assert found.unique is False
    assert found.witness.bucket in (0, 1)
    # What is shared out between the two is 0.9 - 2/3.
    assert abs(found.witness.difference) <= 0.9 - 2 / 3 + 1e-6


def test_a_face_of_ties_is_seen_from_its_middle(backend: SolverBackend) -> None:
    program = program_of([[3.0, 3.0, 1.0]], max_losses=1, objective=[3.0, 3.0, 1.0])
    assert asked(program, 2.8, np.array([0.45, 0.45, 0.1]), backend).unique is False


EITHER = [[1.6, 0.0], [0.0, 1.6]]
"""Two buckets of which one has to hold 0.625, so that its scenario does not lose."""


def test_two_sets_of_losses_that_tie_are_two_answers(backend: SolverBackend) -> None:
    program = program_of(EITHER, max_losses=1, objective=[1.0, 1.0])
    weights = most_even(program, 0.5, backend)
    assert sorted(weights) == pytest.approx([0.375, 0.625], abs=1e-5)
    found = asked(program, 0.5, weights, backend)
    assert found.unique is False
    assert found.witness.weights == pytest.approx(weights[::-1], abs=1e-5)
    assert found.effort.reproducible


def test_a_set_of_losses_that_is_farther_leaves_the_answer_unique(backend: SolverBackend) -> None:
    program = program_of([[1.6, 0.0], [0.0, 1.5]], max_losses=1, objective=[1.0, 1.0])
    weights = most_even(program, 0.5, backend)
    assert weights == pytest.approx([0.625, 0.375], abs=1e-5)
    assert asked(program, 0.5, weights, backend).unique


def test_equal_weights_are_the_only_ones_of_their_kind(backend: SolverBackend) -> None:
    program = program_of([[2.0, 2.0]], max_losses=0, objective=[1.0, 1.0])
    assert asked(program, 0.5, np.array([0.5, 0.5]), backend).unique


def test_a_portfolio_that_is_even_closer_shows_that_the_answer_is_not_the_only_one(backend: SolverBackend) -> None:
    program = program_of([[3.0, 2.0, 1.0]], max_losses=1, objective=[3.0, 2.0, 1.0])
    found = asked(program, 2.5, np.array([1 / 3 + 0.26, 1 / 3, 1 / 3 - 0.26]), backend)
    assert found.unique is False


def test_without_a_proof_of_the_tie_break_only_another_portfolio_settles_it() -> None:
    backend = BranchAndBoundBackend()
    program = program_of([[1.6, 0.0], [0.0, 1.5]], max_losses=1, objective=[1.0, 1.0])
    assert asked(program, 0.5, most_even(program, 0.5, backend), backend, proven=False).unique is None
    ties = program_of([[3.0, 3.0, 1.0]], max_losses=1, objective=[3.0, 3.0, 1.0])
    assert asked(ties, 2.8, most_even(ties, 2.8, backend), backend, proven=False).unique is False


def larger_case() -> tuple[ChanceProgram, float, FloatArray]:
    backend = BranchAndBoundBackend()
    for seed in range(100):
        rng = np.random.Generator(np.random.Philox(7000 + seed))
        program = replace(random_program(rng, 10, 60), max_losses=22, cvar_limit=1.0)
        first = backend.maximize(program, CONTROL)
        if first.objective is not None:
            weights = most_even(program, first.objective - 0.01, backend)
            if asked(program, first.objective - 0.01, weights, backend).effort.work > 50:
                return program, first.objective - 0.01, weights
    raise AssertionError("no case takes work")


def test_the_work_limit_is_kept_and_decides_the_same_way_every_time() -> None:
    backend, (program, floor, weights) = BranchAndBoundBackend(), larger_case()
    whole = asked(program, floor, weights, backend)
    assert whole.unique
    short = replace(CONTROL, work_limit=whole.effort.work // 2)
    assert asked(program, floor, weights, backend, control=short).unique is None
    # A twentieth of the limit at least, and no more than the tie-break took.
    assert (
        asked(program, floor, weights, backend, tie_break_work=0).effort.work
        <= 0.05 * CONTROL.work_limit + whole.effort.work
    )
    for control in (CONTROL, short):
        first, second = (asked(program, floor, weights, backend, control=control) for _ in range(2))
        assert first == second


def test_a_cancel_is_heard_and_the_safety_net_of_time_confessed() -> None:
    backend, (program, floor, weights) = BranchAndBoundBackend(), larger_case()
    with pytest.raises(Cancelled):
        asked(program, floor, weights, backend, control=replace(CONTROL, interrupted=lambda: "cancelled"))
    late = asked(program, floor, weights, backend, control=replace(CONTROL, interrupted=lambda: "time"))
    assert late.unique is None
    assert not late.effort.reproducible


def reach_by_enumeration(
    program: ChanceProgram, floor: float, weights: FloatArray, *, margin: float, slack: float
) -> float:
    """The largest difference of a weight to any portfolio as close, over every set of losses; two LPs a weight each."""
    s, n = program.payoffs.shape
    reach = 0.0
    for losing in combinations(range(s), min(program.max_losses, s)):
        h = exact_highs()
        x = [
            h.addVariable(lb=float(low), ub=float(high))
            for low, high in zip(program.polytope.lower, program.polytope.upper, strict=True)
        ]
        away = [h.addVariable(lb=0.0) for _ in range(n)]
        columns = np.arange(n, dtype=np.int32)
        polytope = with_objective_floor(program, floor - slack).polytope
        for row, low, high in zip(polytope.rows, polytope.row_lower, polytope.row_upper, strict=True):
            h.addRow(float(low), float(high), n, columns, np.ascontiguousarray(row))
        for w, d in zip(x, away, strict=True):
            h.addConstr(d >= w - 1.0 / n)
            h.addConstr(d >= 1.0 / n - w)
        h.addConstr(h.qsum(away) <= float(np.abs(weights - 1.0 / n).sum()) + slack)
        for k in set(range(s)) - set(losing):
            h.addRow(1.0 + margin, np.inf, n, columns, np.ascontiguousarray(program.payoffs[k]))
        if np.isfinite(program.cvar_limit):
            tau, u = h.addVariable(lb=0.0), [h.addVariable(lb=0.0) for _ in range(s)]
            for k in range(s):
                h.addConstr(
                    u[k] + tau + h.qsum(float(a) * w for a, w in zip(program.payoffs[k], x, strict=True)) >= 1.0
                )
            size = (1.0 - program.cvar_confidence) * s
            h.addConstr(tau + h.qsum(u) * (1.0 / size) <= program.cvar_limit + slack)
        for w, at in zip(x, weights, strict=True):
            for farthest in (h.maximize, h.minimize):
                farthest(w)
                if not is_solved(h):
                    break
                reach = max(reach, abs(h.getInfo().objective_function_value - at))
    return reach


@pytest.mark.parametrize("kind", ["apart", "twins", "few multiples"])
def test_agrees_with_enumerating_every_set_of_losses(kind: str) -> None:
    backend, verdicts = BranchAndBoundBackend(), []
    for seed in range(30):
        rng = np.random.Generator(np.random.Philox(8000 + seed))
        program = replace(random_program(rng, 4, 7), max_losses=int(rng.integers(1, 4)))
        if kind == "twins":
            program.payoffs[:, 1] = program.payoffs[:, 0]
        elif kind == "few multiples":
            program.payoffs[:] = rng.choice([0.0, 0.5, 1.0, 2.0, 4.0], program.payoffs.shape)
        program = replace(program, objective=program.payoffs.mean(axis=0))
        first = backend.maximize(program, CONTROL)
        if first.objective is None:
            continue
        floor = first.objective - 0.02
        weights = most_even(program, floor, backend)
        verdict = asked(program, floor, weights, backend).unique
        verdicts.append(verdict)
        if verdict:
            assert reach_by_enumeration(program, floor, weights, margin=2e-9, slack=0.0) <= WEIGHT_TOLERANCE
        elif verdict is False:
            assert reach_by_enumeration(program, floor, weights, margin=-2e-9, slack=2e-7) > WEIGHT_TOLERANCE
    settled = [verdict for verdict in verdicts if verdict is not None]
    assert len(settled) >= 0.9 * len(verdicts) >= 9
    assert True in settled
    assert False in settled or kind == "apart"


@pytest.mark.parametrize(
    ("tie_break", "sentence"),
    [
        ({}, None),
        ({"unique": True, "witness": None}, "It is the only portfolio"),
        ({"unique": None, "witness": None}, "not settled"),
        (
            {"unique": False, "witness": {"bucketId": "Seed_AI", "difference": -0.0123, "weights": [0.2]}},
            "Seed_AI could differ by 1.2 poi",
        ),
    ],
)
def test_the_sentence_says_what_is_known_and_nothing_of_results_that_did_not_ask(
    tie_break: dict[str, Any], sentence: str | None
) -> None:
    stored = {"deviation": 0.1, "deviationBound": 0.1, "proven": True, **tie_break}
    said = uniqueness_sentence(TieBreak.model_validate(stored))
    assert said is None if sentence is None else sentence in said
