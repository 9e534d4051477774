"""Points of frontiers are stored under the solver's version, so another answer needs another version."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from core.frontier import point_key as module
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.program import SOLVER_VERSION, ChanceProgram, Polytope, SolveControl
from tests.unit.core.examples import example_normalized

ANSWERS = {1: ("5c2c7a17d7a59411", "5eefc8c547c1f9de", "0b2d5d090a39cff5")}
"""By version: the weights of three programs, as hashes."""


def program(seed: int) -> ChanceProgram:
    """Multiples in eighths, so that the program is the same to the bit on every machine."""
    rng = np.random.Generator(np.random.Philox(seed))
    payoffs = rng.integers(0, 40, (120, 10)) * (rng.integers(0, 2, (120, 10))) / 8.0
    ones = np.ones(10)
    return ChanceProgram(
        objective=payoffs.sum(axis=0) / 128.0,
        polytope=Polytope(ones[None, :], np.ones(1), np.ones(1), np.zeros(10), 0.375 * ones),
        payoffs=payoffs,
        payoff_offset=np.zeros(120),
        max_losses=36,
        cvar_confidence=0.75,
        cvar_limit=0.75,
        cvar_slack=np.zeros(10),
    )


def test_a_solver_that_answers_otherwise_has_a_new_version() -> None:
    found = []
    for seed in (1, 2, 3):
        outcome = BranchAndBoundBackend().maximize(program(seed), SolveControl(work_limit=20_000))
        assert outcome.x is not None
        found.append(hashlib.sha256(outcome.x.tobytes()).hexdigest()[:16])
    assert tuple(found) == ANSWERS[SOLVER_VERSION], "raise SOLVER_VERSION and record the answers of the new version"


def test_a_point_solved_by_another_version_of_the_solver_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    config = example_normalized().config
    before = module.point_key(config, "matrix", None)
    assert module.point_key(config, "matrix", None) == before
    monkeypatch.setattr(module, "SOLVER_VERSION", SOLVER_VERSION + 1)
    assert module.point_key(config, "matrix", None) != before
