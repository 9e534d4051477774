"""How far limits must be relaxed, by a naive MIP written row by row from configuration and matrix."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from core.matrix.scenario_matrix import ScenarioMatrix
from core.request.normalized_config import NormalizedConfig
from tests.unit.core.oracles import exact_highs, is_solved

HELD_TOLERANCE = 1e-9


def least_violation(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    minimize: str | None,
    *,
    margin: float,
    elastic: Mapping[str, float] | None = None,
    enforced: Collection[str] = (),
) -> float | None:
    """The least total violation of one class of limits, None if the others cannot be met.

    elastic: class -> by how much its bounds may be relaxed in total. enforced: classes or ids held. What is in
    neither is left out. Losing scenarios are of class `p_loss_max`, counted in scenarios; margin: added to 1 for them.
    """
    return _NaiveMip(config, matrix, minimize, elastic or {}, enforced).solve(margin)


def linear_limits(config: NormalizedConfig, win_probability: np.ndarray) -> Iterator[tuple[str, np.ndarray, float]]:
    """(id, coefficients, bound) of every linear limit asked for; an id with `min` in it is a minimum."""
    buckets = config.buckets
    all_in = [b.initial_check_usd * (1 + b.reserve_ratio) for b in buckets]
    yield (
        "expected_winners_min",
        config.total_fund_size_usd * win_probability / np.array(all_in),
        config.min_expected_winners,
    )
    if config.bucket_max_weight is not None:
        for row in np.eye(len(buckets)):
            yield "bucket_max_weight", row, config.bucket_max_weight
    groups = [("sector", str(name), bounds) for name, bounds in config.sector_bounds.items()]
    groups += [("stage", str(name), bounds) for name, bounds in config.stage_bounds.items()]
    for kind, name, bounds in groups:
        members = np.array([float(str(getattr(b, kind)) == name) for b in buckets])
        yield f"{kind}_min_weight:{name}", members, bounds.min
        yield f"{kind}_max_weight:{name}", members, bounds.max


class _NaiveMip:
    def __init__(
        self,
        config: NormalizedConfig,
        matrix: ScenarioMatrix,
        minimize: str | None,
        elastic: Mapping[str, float],
        enforced: Collection[str],
    ) -> None:
        self.config, self.matrix = config, matrix
        self.minimize, self.elastic, self.enforced = minimize, elastic, enforced
        self.h = exact_highs()
        self.w = [self.h.addVariable(lb=0.0) for _ in range(matrix.n_buckets)]
        self.slacks: dict[str, dict[str, Any]] = {}

    def solve(self, margin: float) -> float | None:
        h = self.h
        h.addConstr(h.qsum(self.w) == 1.0)
        self._linear()
        multiples = [self._combined(column) for column in self.matrix.moic.T]
        if self._counts("p_loss_max"):
            self._losses(multiples, margin)
        if self._counts("cvar_max"):
            self._cvar(multiples)
        for class_, total in self.elastic.items():
            if class_ in self.slacks:
                h.addConstr(h.qsum(list(self.slacks[class_].values())) <= total + HELD_TOLERANCE)
        violation = list(self.slacks[self.minimize].values()) if self.minimize in self.slacks else [0.0 * self.w[0]]
        h.minimize(h.qsum(violation))
        return float(h.getInfo().objective_function_value) if is_solved(h) else None

    def _linear(self) -> None:
        for id_, row, bound in linear_limits(self.config, self.matrix.win_probability):
            if not self._counts(id_):
                continue
            if "min" in id_.split("_"):
                self.h.addConstr(self._combined(row) + self._slack(id_) >= bound)
            else:
                self.h.addConstr(self._combined(row) - self._slack(id_) <= bound)

    def _losses(self, multiples: list[Any], margin: float) -> None:
        z = [self.h.addBinary() for _ in multiples]
        for multiple, lost in zip(multiples, z, strict=True):
            self.h.addConstr(multiple + (1.0 + margin) * lost >= 1.0 + margin)
        allowed = math.floor(self.config.max_loss_probability * len(z) + 1e-9)
        self.h.addConstr(self.h.qsum(z) - self._slack("p_loss_max") <= allowed)

    def _cvar(self, multiples: list[Any]) -> None:
        u, tau = [self.h.addVariable(lb=0.0) for _ in multiples], self.h.addVariable(lb=0.0)
        for multiple, excess in zip(multiples, u, strict=True):
            self.h.addConstr(excess + tau + multiple >= 1.0)
        tail = (1.0 - self.config.cvar_confidence_level) * len(u)
        self.h.addConstr(tau + self.h.qsum(u) * (1.0 / tail) - self._slack("cvar_max") <= self.config.cvar_limit)

    def _combined(self, coefficients: np.ndarray) -> Any:
        return self.h.qsum(float(a) * v for a, v in zip(coefficients, self.w, strict=True))

    def _counts(self, id_: str) -> bool:
        class_ = id_.partition(":")[0]
        return class_ == self.minimize or class_ in self.elastic or class_ in self.enforced or id_ in self.enforced

    def _slack(self, id_: str) -> Any:
        """A new column or the one that the id has already; 0 where nothing may be relaxed."""
        class_ = id_.partition(":")[0]
        if class_ != self.minimize and class_ not in self.elastic:
            return 0.0
        of_class = self.slacks.setdefault(class_, {})
        if id_ not in of_class:
            of_class[id_] = self.h.addVariable(lb=0.0)
        return of_class[id_]
