"""What is decided of each scenario at a node."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.jit import inlined, kernel


class Decisions(NamedTuple):
    """Per scenario, (S,): must not lose; given up as lost; a lower bound of the multiple, valid in this subtree."""

    required: BoolArray
    lost: BoolArray
    floor: FloatArray

    @classmethod
    def none(cls, n_scenarios: int) -> Decisions:
        return cls(np.zeros(n_scenarios, dtype=bool), np.zeros(n_scenarios, dtype=bool), np.zeros(n_scenarios))

    def copy(self) -> Decisions:
        return Decisions(self.required.copy(), self.lost.copy(), self.floor.copy())


@inlined
def fix_scenario(decisions: Decisions, s: int, required: bool) -> None:
    """Scenario s must not lose, or is given up."""
    if required:
        decisions.required[s] = True
    else:
        decisions.lost[s] = True


@kernel
def losses_left(decisions: Decisions, max_losses: int) -> int:
    """How many scenarios more may lose; negative when more are given up than may be.

    With none left every other scenario must not lose, which is noted in `required`.
    """
    left = max_losses
    for s in range(len(decisions.lost)):
        left -= decisions.lost[s]
    if left == 0:
        for s in range(len(decisions.lost)):
            decisions.required[s] = not decisions.lost[s]
    return left
