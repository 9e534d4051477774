"""The solver against the live oracles, on programs that nobody has seen: other seeds each time.

`--fuzz 500` for that many of each kind. A failure names its seed; `--fuzz-seed` begins there again.
"""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from tests.unit.core.oracles import AWKWARD_KINDS, awkward_program, random_program
from tests.unit.core.recorded_oracle import each, live, naming
from tests.unit.core.test_dual_simplex import agrees_with_highs
from tests.unit.core.test_relaxation import is_relaxed_by_the_least
from tests.unit.core.test_solver import agree_with_the_oracle


@pytest.fixture(scope="session")
def seeds(request: pytest.FixtureRequest) -> range:
    begin = request.config.getoption("--fuzz-seed")
    begin = secrets.randbits(40) if begin is None else begin
    return range(begin, begin + request.config.getoption("--fuzz"))


def test_random_programs_agree_with_the_textbook_mip(seeds: range) -> None:
    for name, _, rng in each("random program", seeds):
        program = random_program(rng, int(rng.integers(1, 9)), int(rng.integers(1, 31)))
        agree_with_the_oracle(live, name, program)


@pytest.mark.parametrize("kind", AWKWARD_KINDS)
def test_awkward_programs_agree_with_the_textbook_mip(kind: str, seeds: range) -> None:
    for name, _, rng in each(kind, seeds):
        agree_with_the_oracle(live, name, awkward_program(rng, kind))


def test_linear_programs_agree_with_highs(seeds: range) -> None:
    for seed in seeds:
        with naming(f"seed {seed}"):
            agrees_with_highs(seed)


def test_limits_are_relaxed_by_the_least_that_those_of_higher_priority_leave(seeds: range) -> None:
    for seed in [*range(45), *seeds]:
        with naming(f"seed {seed}"):
            is_relaxed_by_the_least(seed)


def test_larger_programs_agree_with_the_textbook_mip(seeds: range) -> None:
    for name, _, rng in each("larger program", seeds[: max(1, len(seeds) // 5)]):
        n_scenarios = int(rng.integers(30, 45))
        program = random_program(rng, int(rng.integers(8, 13)), n_scenarios, cap=float(rng.choice(np.r_[0.3, 0.5])))
        agree_with_the_oracle(live, name, program)
