"""The efficient frontier as a picture: expected MOIC against the limit that is varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes

from core.charts.canvas import BLUE, INK, ORANGE, RED, SKY, drawing, picture

SEEN = 0.01
"""A proven bound above what was found by this share of the picture's height can be seen, and is drawn."""


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """value: of the limit. expected_moic, bound: None where there is no portfolio, or no bound is known."""

    value: float
    expected_moic: float | None
    bound: float | None
    infeasible: bool


@dataclass(frozen=True, slots=True)
class FrontierPicture:
    """points: in any order. limit: what is varied, in words. percent: its values are fractions.

    asked: the value that the request has, None for none.
    """

    points: Sequence[ChartPoint]
    limit: str
    percent: bool
    asked: float | None


def frontier_chart(frontier: FrontierPicture, kind: Literal["svg", "png"]) -> bytes:
    """The same figures give the same bytes."""
    points = sorted(frontier.points, key=lambda point: point.value)
    with drawing() as (figure, axes):
        _draw_frontier(axes, points)
        _draw_asked(axes, frontier, points)
        _draw_without_portfolio(axes, points)
        axes.set_title("What the limit costs: best expected MOIC")
        axes.set_xlabel(frontier.limit)
        axes.set_ylabel("expected MOIC")
        axes.yaxis.set_major_formatter("{x:.2f}x")
        if frontier.percent:
            axes.xaxis.set_major_formatter(lambda value, _position: f"{100.0 * value:.4g}%")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best")
        return picture(figure, kind, _in_words(frontier, points))


def _draw_frontier(axes: Axes, points: Sequence[ChartPoint]) -> None:
    found = [point for point in points if point.expected_moic is not None]
    if not found:
        return
    values = [point.value for point in found]
    best = [float(point.expected_moic or 0.0) for point in found]
    bounds = [best[k] if point.bound is None else point.bound for k, point in enumerate(found)]
    height = max(bounds) - min(best)
    if any(bound - moic > SEEN * height for bound, moic in zip(bounds, best, strict=True)):
        label = "what more could be: not proven out of reach"
        axes.fill_between(values, best, bounds, color=SKY, alpha=0.35, linewidth=0, label=label)
    axes.plot(values, best, color=BLUE, marker="o", markersize=6, linewidth=2, label="best portfolio found")


def _draw_asked(axes: Axes, frontier: FrontierPicture, points: Sequence[ChartPoint]) -> None:
    """The request's own value, if it lies within what is drawn."""
    asked = frontier.asked
    if asked is not None and points[0].value <= asked <= points[-1].value:
        axes.axvline(asked, color=ORANGE, linestyle="--", linewidth=1.5, zorder=1.5, label="the request's limit")


def _draw_without_portfolio(axes: Axes, points: Sequence[ChartPoint]) -> None:
    """Crosses at the foot of the picture: red where none exists, grey where none was found."""
    foot = axes.get_xaxis_transform()
    for infeasible, color, marker, label in (
        (True, RED, "X", "no portfolio exists"),
        (False, INK, "P", "none found, none ruled out"),
    ):
        values = [point.value for point in points if point.expected_moic is None and point.infeasible is infeasible]
        if values:
            axes.plot(
                values,
                [0.03] * len(values),
                transform=foot,
                color=color,
                marker=marker,
                markersize=9,
                linestyle="none",
                label=label,
                clip_on=False,
            )


def _in_words(frontier: FrontierPicture, points: Sequence[ChartPoint]) -> str:
    """For a reader who cannot see it: every point."""
    scale, unit = (100.0, "%") if frontier.percent else (1.0, "")
    parts = []
    for point in points:
        if point.expected_moic is not None:
            what = f"expected MOIC {point.expected_moic:.3f}"
        else:
            what = "no portfolio exists" if point.infeasible else "no portfolio found"
        parts.append(f"{scale * point.value:.6g}{unit}: {what}")
    return f"Best expected MOIC by {frontier.limit}. {'; '.join(parts)}."
