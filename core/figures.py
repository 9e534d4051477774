"""The four figures that a portfolio is judged by: their names in documents, and how people read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """label: for people. name: in documents. shown: a value, or its error, in words."""

    label: str
    name: str
    shown: Callable[[float], str]

    def limit(self, figure: Mapping[str, Any]) -> str:
        """The limit of an out-of-sample figure, with the side on which it lies; empty where it has none."""
        limit = figure.get("limit")
        return "" if limit is None else ("≥ " if self.name == "expectedWinners" else "≤ ") + self.shown(limit)

    def with_interval(self, figure: Mapping[str, Any]) -> str:
        return f"{self.shown(figure['value'])} ({self.shown(figure['low'])} to {self.shown(figure['high'])})"

    def with_error(self, value: float, error: float | None) -> str:
        """error: its standard error, None where there is none to tell."""
        return self.shown(value) if error is None else f"{self.shown(value)} ± {self.shown(error).rstrip('x')}"


FIGURES = (
    Figure("expected MOIC", "expectedMoic", "{:.3f}x".format),
    Figure("loss probability", "lossProbability", "{:.1%}".format),
    Figure("CVaR", "cvar", "{:.1%}".format),
    Figure("expected winners", "expectedWinners", "{:.2f}".format),
)
