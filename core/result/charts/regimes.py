"""What a portfolio returns, and how often it loses money, in each state of the economy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes

from core.charts.canvas import BLUE, INK, RED, panels, picture
from core.result.model import RegimeFigures
from core.risk.intervals import NORMAL_QUANTILE

ROW_IN = 0.62


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and its standard error, None where a single scenario cannot tell it."""

    value: float
    error: float | None


@dataclass(frozen=True, slots=True)
class RegimeReturns:
    """probability: of the regime. multiple, loss_probability: within it; None where no scenario was in it."""

    regime: str
    probability: float
    multiple: Measured | None
    loss_probability: Measured | None


def regime_returns_of(by_regime: Sequence[RegimeFigures]) -> list[RegimeReturns]:
    """Of a result out of sample, or of a stressed portfolio."""
    found = []
    for entry in by_regime:
        figures = entry.figures
        multiple = lost = None
        if figures is not None:
            errors = figures.standard_errors
            multiple = Measured(figures.expected_moic, errors.expected_moic)
            lost = Measured(figures.loss_probability, errors.loss_probability)
        found.append(RegimeReturns(entry.regime, entry.probability, multiple, lost))
    return found


def regimes_chart(
    regimes: Sequence[RegimeReturns],
    kind: Literal["svg", "png"] = "svg",
    *,
    loss_limit: float | None = None,
) -> bytes:
    """Mean multiple to the left, share of scenarios that lose money to the right, with 95% intervals.

    regimes: at least one, from top to bottom. loss_limit: on the loss probability over all regimes, as a fraction.
    """
    assert regimes
    with panels(2, width_in=8.0, height_in=1.7 + ROW_IN * len(regimes)) as (figure, (multiples, losses)):
        _draw(multiples, [each.multiple for each in regimes], 1.0, BLUE, "{:.2f}x".format)
        multiples.axvline(1.0, color=INK, linestyle="--", linewidth=1.0)
        multiples.set_title("Mean multiple")
        multiples.set_xlabel("portfolio multiple; below 1x (dashed) money is lost")
        _draw(losses, [each.loss_probability for each in regimes], 100.0, RED, "{:.1f}%".format)
        if loss_limit is not None:
            label = f"limit over all: {loss_limit:.1%}"
            losses.axvline(100 * loss_limit, color=INK, linestyle="--", linewidth=1.0, label=label)
            figure.legend(loc="outside lower right")
        losses.set_title("How often money is lost")
        losses.set_xlabel("% of the regime's scenarios")
        multiples.set_yticks(range(len(regimes)), [f"{each.regime}\n{each.probability:.1%} likely" for each in regimes])
        multiples.set_ylim(len(regimes) - 0.5, -0.5)
        return picture(figure, kind, _in_words(regimes))


def _draw(
    axes: Axes, figures: Sequence[Measured | None], scale: float, color: str, shown: Callable[[float], str]
) -> None:
    """A bar for each, labelled at its end, or at the end of its interval."""
    for row, figure in enumerate(figures):
        if figure is None:
            axes.text(0.0, row, " no scenario drawn", va="center", fontsize=9, color=INK)
            continue
        half = 0.0 if figure.error is None else NORMAL_QUANTILE * figure.error
        axes.barh(row, scale * figure.value, height=0.6, color=color, alpha=0.85)
        low, high = scale * max(0.0, figure.value - half), scale * (figure.value + half)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.5, marker="|", markersize=7.0)
        label = shown(scale * figure.value)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.annotate(label, (high, row), (6, 0), textcoords="offset points", va="center", fontsize=9, bbox=box)
    axes.grid(visible=False, axis="y")
    reach = [figure.value + NORMAL_QUANTILE * (figure.error or 0.0) for figure in figures if figure is not None]
    end = scale * max(reach, default=0.0)
    axes.set_xlim(0.0, 1.22 * end if end > 0 else 1.0)


def _in_words(regimes: Sequence[RegimeReturns]) -> str:
    """For a reader who cannot see it."""
    parts = []
    for each in regimes:
        if each.multiple is None or each.loss_probability is None:
            what = "no scenario drawn"
        else:
            what = f"mean multiple {each.multiple.value:.2f}, loses money in {each.loss_probability.value:.1%}"
        parts.append(f"{each.regime} (probability {each.probability:.1%}): {what}")
    return f"Returns by state of the economy. {'; '.join(parts)}."
