"""One look for all charts, and pictures whose bytes depend on nothing but the figures drawn."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.markdown import escaped

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, INK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#333333",
)
"""Told apart by color-blind readers, too. Source: Okabe & Ito (2008), "Color Universal Design", fig. 16."""

PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW)

_STYLE: Any = {  # the type of a key is a list of all settings there are
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 100.0,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a dollar is a dollar
    # Text stays text: small files, and a reader can select and search it.
    "svg.fonttype": "none",
    # Names of clip paths in the file come from this instead of chance.
    "svg.hashsalt": "vcfolio",
}

# matplotlib's settings belong to the process, and charts may be drawn in several threads of it.
_drawing = threading.RLock()


@contextmanager
def drawing(width_in: float = 8.0, height_in: float = 4.5) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes in the common style. Draw in the block, and call `picture` in it as well."""
    with _drawing, mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure, figure.subplots()


@contextmanager
def panels(count: int, width_in: float, height_in: float) -> Iterator[tuple[Figure, list[Axes]]]:
    """A row of axes that share their vertical scale, in the common style; to be used as `drawing` is."""
    with _drawing, mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure, list(figure.subplots(1, count, sharey=True, squeeze=False)[0])


def picture(figure: Figure, kind: Literal["svg", "png"], title: str) -> bytes:
    """The figure as a file, without date or version. title: what a reader who cannot see it is told."""
    metadata: dict[str, str | None] = {"Title": title}
    if kind == "svg":
        metadata |= {"Date": None, "Creator": None}
    else:
        metadata |= {"Software": None}
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def data_uri(svg: bytes) -> str:
    """For an image in Markdown or HTML."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def markdown_image(alternative: str, svg: bytes) -> str:
    """The picture within the text. alternative: what is read where it cannot be seen."""
    return f"![{escaped(alternative)}]({data_uri(svg)})"
