"""The external validation as a picture: shares of deals to the left, quartiles of funds to the right."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes

from core.charts.canvas import BLUE, INK, ORANGE, drawing, picture
from core.external_validation.comparison import Comparison

BAR = 0.4


def external_validation_chart(comparison: Comparison, kind: Literal["svg", "png"]) -> bytes:
    with drawing(13.0, 5.0) as (figure, single):
        single.remove()
        deals, funds = figure.subplots(1, 2, width_ratios=[1.45, 1.0])
        _draw_deals(deals, comparison)
        _draw_funds(funds, comparison)
        title = f"Simulated deals and funds of {comparison.model} beside published ones"
        return picture(figure, kind, title)


def _draw_deals(axes: Axes, comparison: Comparison) -> None:
    labels = [deal.range.label for deal in comparison.deals]
    places = [float(place) for place in range(len(labels))]
    for offset, name, color, shares in (
        (-BAR / 2, "published", ORANGE, [deal.range.share for deal in comparison.deals]),
        (BAR / 2, "simulated", BLUE, [deal.simulated for deal in comparison.deals]),
    ):
        bars = axes.bar([place + offset for place in places], shares, BAR, color=color, label=name)
        axes.bar_label(bars, labels=[f"{share:.1%}" for share in shares], fontsize=7.5, padding=2.0)
    axes.set_xticks(places, labels)
    axes.set_yscale("log")
    axes.set_ylim(0.002, 1.5)
    axes.set_yticks([0.01, 0.1, 1.0], ["1%", "10%", "100%"])
    axes.set_ylabel("share of deals, logarithmic")
    axes.set_title("Gross multiple of a deal")
    axes.legend()


def _draw_funds(axes: Axes, comparison: Comparison) -> None:
    rows: list[tuple[str, str, float | None, float, float | None, float | None]] = [
        (fund.label, BLUE, fund.lower, fund.median, fund.upper, fund.p90) for fund in (comparison.gross, comparison.net)
    ]
    rows += [
        (f"published, {fund.label}", ORANGE, fund.lower, fund.median, fund.upper, fund.p90)
        for fund in comparison.published_funds
    ]
    for place, (_, color, lower, median, upper, p90) in enumerate(reversed(rows)):
        if lower is not None and upper is not None:
            axes.plot([lower, upper], [place, place], color=color, linewidth=7.0, alpha=0.55, solid_capstyle="butt")
        axes.plot([median], [place], marker="o", color=color, markeredgecolor=INK)
        if p90 is not None:
            axes.plot([p90], [place], marker="|", markersize=12.0, markeredgewidth=2.0, color=color)
    axes.set_yticks(range(len(rows)), [label for label, *_ in reversed(rows)])
    axes.axvline(1.0, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xlim(left=0.0)
    axes.set_xlabel("bar: quartiles, point: median, tick: 90th percentile")
    axes.set_title("Multiple of a fund")
