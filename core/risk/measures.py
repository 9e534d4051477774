"""Measures of a distribution of losses."""

from __future__ import annotations

import math

import numpy as np

from core.arrays import FloatArray
from core.errors import BadInput


def cvar(
    losses: FloatArray, confidence: float, weights: FloatArray | None = None, *, n_scenarios: int | None = None
) -> float:
    """Mean of the worst `1 - confidence` share of losses; the scenario on the edge of the tail counts in part.

    losses: (n,), fraction of capital, >= 0. confidence: in [0, 1), e.g. 0.95. weights: (n,), summing to 1; None: all
    alike. n_scenarios: where scenarios without a loss were left out of `losses`, how many there are with them.
    Ties do not matter. The sum is exact, so that the order of the scenarios does not matter either.
    Raises BadInput without a scenario or for a confidence outside [0, 1).
    Source: Rockafellar & Uryasev (2000), "Optimization of conditional value-at-risk"; for distributions with atoms,
    where the edge counts in part, the same (2002), "Conditional value-at-risk for general loss distributions", prop. 8.
    """
    n = losses.size if n_scenarios is None else n_scenarios
    if n == 0:
        raise BadInput.of("losses", [], "CVaR needs at least one scenario")
    if not 0.0 <= confidence < 1.0:
        raise BadInput.of("cvar_confidence_level", confidence, "must be in [0, 1)")
    if weights is None:
        tail = (1.0 - confidence) * n
        worst = -np.sort(-losses)[: math.ceil(tail)]
        in_tail = np.clip(tail - np.arange(worst.size), 0.0, 1.0)
    else:
        order, tail = np.argsort(-losses, kind="stable"), 1.0 - confidence
        worst, share = losses[order], weights[order]
        in_tail = np.clip(tail - (np.cumsum(share) - share), 0.0, share)
    return math.fsum(in_tail * worst) / tail
