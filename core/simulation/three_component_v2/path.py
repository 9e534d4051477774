"""A company's path: how often it graduates before it exits or fails, and how a scenario tilts its fate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import StageTransitions
from core.jit import kernel
from core.simulation.three_component_v2 import normal
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class PathChances:
    """Chances as calibrated, before any scenario. exits, failures: (n_stages from entry,), after j graduations.

    All of them sum to 1: running out of rounds is a failure, graduating from the last stage an exit.
    """

    exits: FloatArray
    failures: FloatArray

    @property
    def failure(self) -> float:
        return min(math.fsum(self.failures), 1.0) if self.exits.any() else 1.0

    @property
    def graduations_of_exits(self) -> FloatArray:
        """P(at most j graduations | exit); all 1 where nothing exits."""
        return _cumulative(self.exits)

    @property
    def graduations_of_failures(self) -> FloatArray:
        return _cumulative(self.failures)


def path_chances(
    entry: Stage, transitions: Mapping[Stage, StageTransitions], risk_multiplier: float, max_rounds: int
) -> PathChances:
    """Exact, from the distribution over stages round by round.

    risk_multiplier: times the failure rate of every stage, at most 1; what is left is shared as before.
    """
    stages = list(Stage)[list(Stage).index(entry) :]
    exits, failures = np.zeros(len(stages)), np.zeros(len(stages))
    at = np.zeros(len(stages))
    at[0] = 1.0
    for _ in range(max_rounds):
        after = np.zeros(len(stages))
        for j, stage in enumerate(stages):
            if at[j] == 0.0:
                continue  # a stage that cannot be reached needs no rates
            exit_rate, graduate_rate, failure_rate = scaled_rates(transitions[stage], risk_multiplier)
            exits[j] += at[j] * exit_rate
            failures[j] += at[j] * failure_rate
            after[j] += at[j] * max(0.0, 1.0 - exit_rate - graduate_rate - failure_rate)
            if j + 1 < len(stages):
                after[j + 1] += at[j] * graduate_rate
            else:
                exits[j] += at[j] * graduate_rate
        at = after
    return PathChances(exits, failures + at)


def scaled_rates(rates: StageTransitions, risk_multiplier: float) -> tuple[float, float, float]:
    """(exit, graduate, failure) a round, with failure min(p k, 1) and the others times (1 - p k) / (1 - p)."""
    failure = min(rates.failure_rate * risk_multiplier, 1.0)
    others = (1.0 - failure) / (1.0 - rates.failure_rate) if rates.failure_rate < 1.0 else 0.0
    return rates.exit_rate * others, rates.graduate_rate * others, failure


@kernel
def tilted_failure(failure_score: float, common_score: float, correlation: float) -> float:
    """P(failure | G): Phi((Phi^-1(P) - sqrt(rho) G) / sqrt(1 - rho)), whose mean over a standard normal G is P.

    failure_score: Phi^-1(P), infinite where P is 0 or 1. correlation: rho in [0, 1).
    Source: Vasicek (2002), "The distribution of loan portfolio value".
    """
    return normal.cdf((failure_score - math.sqrt(correlation) * common_score) / math.sqrt(1.0 - correlation))


@kernel
def graduations(cumulative: FloatArray, u: float) -> int:
    """The number of graduations that u, uniform, stands for."""
    j = 0
    while j < cumulative.size - 1 and u >= cumulative[j]:
        j += 1
    return j


def _cumulative(chances: FloatArray) -> FloatArray:
    total = np.cumsum(chances)
    return total / total[-1] if total[-1] > 0.0 else np.ones_like(total)
