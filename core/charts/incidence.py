"""Cumulative incidence by stage: what becomes of companies, with how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from core.calibration.aalen_johansen import Incidence
from core.calibration.spells import CAUSES
from core.charts.canvas import BLUE, GREEN, RED, panels, picture
from core.stages import Stage

POINTS = 289
"""Of each curve: at the usual 72 months, one a week."""

_LOOKS = {"graduate": (BLUE, "raised at a later stage"), "exit": (GREEN, "exited"), "failure": (RED, "failed")}


def incidence_chart(
    incidences: Mapping[Stage, Incidence], horizon_months: float, kind: Literal["svg", "png"] = "svg"
) -> bytes:
    """One panel a stage: the share of companies that met each end, by months since the stage's first round."""
    title = "Share of companies that graduated, exited or failed, by months since their first round at a stage"
    with panels(len(incidences), width_in=3.2 * len(incidences), height_in=3.6) as (figure, axes):
        for stage, axis in zip(incidences, axes, strict=True):
            _draw(axis, incidences[stage], horizon_months)
            axis.set_title(f"{stage}  ({incidences[stage].followed.size:,} companies)")
            axis.set_xlabel("months")
        axes[0].set_ylabel("share of companies, 95% bands")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return picture(figure, kind, title)


def _draw(axis: Axes, incidence: Incidence, horizon_months: float) -> None:
    """Thousands of steps are more than a picture shows: the curves are drawn as they stand at evenly spaced months."""
    months = np.linspace(0.0, horizon_months, POINTS)
    steps = np.searchsorted(incidence.times, months, side="right")
    for cause, curve, band in zip(CAUSES, incidence.incidence, incidence.bands(), strict=True):
        color, label = _LOOKS[cause]
        line, low, high = (np.concatenate([[0.0], values])[steps] for values in (curve, band.low, band.high))
        axis.fill_between(months, low, high, step="post", color=color, alpha=0.2, linewidth=0)
        axis.step(months, line, where="post", color=color, label=label)
    axis.set_xlim(0, horizon_months)
    axis.set_ylim(0, 1)
    axis.set_xticks(np.arange(0, horizon_months + 1e-9, 12 if horizon_months <= 96 else 24))
