"""A portfolio drawn: where its capital goes, and what it returned in each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arrays import FloatArray
from core.charts.canvas import BLUE, GREEN, INK, ORANGE, PALETTE, RED, drawing, picture
from core.result import model
from core.solver.feasibility import loss_count
from core.stages import Stage

STAGE_COLORS = dict(zip(Stage, PALETTE, strict=False))
MOST_BARS = 30
BARS = 60
ROW_IN = 0.26


@dataclass(frozen=True, slots=True)
class Holding:
    """One bucket. weight: fraction of the fund."""

    bucket_id: str
    stage: Stage
    weight: float
    sector: str


def holdings_of(allocation: Sequence[model.Holding]) -> list[Holding]:
    """The buckets that an allocation gives anything to, in its order."""
    return [
        Holding(holding.bucket_id, Stage(holding.stage), holding.weight, holding.sector)
        for holding in allocation
        if holding.weight > 0
    ]


def allocation_chart(holdings: Sequence[Holding], kind: Literal["svg", "png"] = "svg") -> bytes:
    """Weights as bars, the heaviest on top, colored by stage; beyond `MOST_BARS` the rest are one bar."""
    ordered = sorted(holdings, key=lambda holding: (-holding.weight, holding.bucket_id))
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    labels = [holding.bucket_id for holding in shown] + ([f"{len(rest)} others"] if rest else [])
    weights = [holding.weight for holding in shown] + ([sum(holding.weight for holding in rest)] if rest else [])
    colors = [STAGE_COLORS[holding.stage] for holding in shown] + ([INK] if rest else [])
    with drawing(8.0, 1.1 + ROW_IN * len(labels)) as (figure, axes):
        bars = axes.barh(labels, [100 * weight for weight in weights], color=colors)
        axes.bar_label(bars, labels=[f"{weight:.1%}" for weight in weights], padding=3, fontsize=9)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12, y=0.01)
        axes.set_xlabel("% of the fund")
        axes.set_title("Allocation by bucket")
        first_of = {holding.stage: position for position, holding in reversed(list(enumerate(shown)))}
        present = [stage for stage in STAGE_COLORS if stage in first_of]
        axes.legend([bars[first_of[stage]] for stage in present], [stage.value for stage in present], loc="lower right")
        largest = ", ".join(f"{holding.bucket_id} {holding.weight:.1%}" for holding in ordered[:3])
        return picture(figure, kind, f"Bar chart of {len(holdings)} buckets; the largest: {largest}")


def multiples_chart(
    multiples: FloatArray, winner_multiple: float | None = None, kind: Literal["svg", "png"] = "svg"
) -> bytes:
    """How often the portfolio returned which multiple. multiples: shape (n_scenarios,), one for each scenario.

    winner_multiple: what makes a deal a winner; marked, with how often the whole portfolio returns as much. None: not.
    The axis ends at the 99th percentile; what lies beyond is counted in the last bar.
    """
    lost, mean, median = loss_count(multiples) / len(multiples), float(np.mean(multiples)), float(np.median(multiples))
    end = max(float(np.quantile(multiples, 0.99)), 1.5, mean * 1.05)
    # A whole number of bars to 1, so that none mixes losses and gains.
    width = 1.0 / max(1, round(BARS / end))
    edges = width * np.arange(int(np.ceil(end / width)) + 1)
    shares = np.histogram(np.minimum(multiples, edges[-1]), bins=edges)[0] / len(multiples)
    below = edges[1:] < 1.0 + width / 2
    with drawing() as (figure, axes):
        for chosen, color, label in ((below, RED, f"money is lost: {lost:.1%}"), (~below, BLUE, None)):
            centres = edges[:-1][chosen] + width / 2
            axes.bar(centres, 100 * shares[chosen], width=0.92 * width, color=color, label=label)
        axes.axvline(median, color=GREEN, linestyle="--", label=f"median {median:.2f}x")
        axes.axvline(mean, color=ORANGE, linestyle="-.", label=f"mean {mean:.2f}x")
        won = "" if winner_multiple is None else _winners_in_words(multiples, winner_multiple)
        if winner_multiple is not None:
            # Off the axis the mark is clipped, and its words stay in the legend.
            axes.axvline(winner_multiple, color=INK, linestyle=":", label=won)
        axes.legend(loc="upper right")
        axes.set_xlim(0.0, edges[-1])
        axes.set_xlabel("portfolio multiple on invested capital; the last bar holds all beyond")
        axes.set_ylabel("% of scenarios")
        axes.set_title("What the portfolio returned")
        return picture(
            figure,
            kind,
            f"Histogram of the portfolio's multiple in {len(multiples):,} scenarios: below 1 in {lost:.1%}, "
            f"median {median:.2f}, mean {mean:.2f}" + (f"; {won}" if won else ""),
        )


def _winners_in_words(multiples: FloatArray, winner_multiple: float) -> str:
    return f"a winner's {winner_multiple:g}x or more: {np.mean(multiples >= winner_multiple):.1%}"
