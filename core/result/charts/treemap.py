"""An allocation as a treemap: stages, and within each its sectors; the area of a field is its share of the fund.

Source: Bruls, Huizing & van Wijk (2000), "Squarified treemaps", section 3: fields as near to squares as can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from core.charts.canvas import drawing, picture
from core.result.charts.portfolio import STAGE_COLORS, Holding
from core.stages import Stage

WIDTH_IN, HEIGHT_IN = 8.0, 4.6
"""The area that the fields fill; coordinates within it are inches, so that one can tell whether a text fits."""

FONT_SIZES = (10.0, 8.5, 7.0)
CHARACTER_EM, LINE_EM = 0.66, 1.3
"""Room that a text takes, in its font's size: generous for sans-serif fonts, since the reader's browser chooses one."""

POINTS_PER_INCH = 72.0
NAMED = 5e-4
"""Holdings below this weight are drawn, but summed up in the text."""


class Field(NamedTuple):
    """A rectangle, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def treemap_chart(holdings: Sequence[Holding], kind: Literal["svg", "png"] = "svg") -> bytes:
    """Fields of a stage stand together, in its color, the heaviest first. holdings: weights > 0, at least one."""
    assert holdings
    assert all(holding.weight > 0 for holding in holdings)
    stages = _by_stage(holdings)
    totals = {stage: math.fsum(holding.weight for holding in held) for stage, held in stages.items()}
    heaviest_first = sorted(stages, key=lambda stage: (-totals[stage], list(Stage).index(stage)))
    areas = squarified([totals[stage] for stage in heaviest_first], Field(0.0, 0.0, WIDTH_IN, HEIGHT_IN))
    with drawing(WIDTH_IN, HEIGHT_IN + 0.7) as (figure, axes):
        for stage, area in zip(heaviest_first, areas, strict=True):
            held = stages[stage]
            for holding, field in zip(held, squarified([each.weight for each in held], area), strict=True):
                _draw(axes, holding, field)
            axes.add_patch(Rectangle(area[:2], *area[2:], fill=False, edgecolor="white", linewidth=5.0))
        axes.set_xlim(0.0, WIDTH_IN)
        axes.set_ylim(HEIGHT_IN, 0.0)
        axes.set_axis_off()
        axes.set_title("Allocation by stage and sector")
        keys = [Rectangle((0, 0), 1, 1, color=STAGE_COLORS[stage]) for stage in stages]
        labels = [f"{stage.value} {totals[stage]:.1%}" for stage in stages]
        figure.legend(keys, labels, loc="outside lower left", ncols=len(keys))
        return picture(figure, kind, _in_words(stages, totals))


def squarified(areas: Sequence[float], whole: Field) -> list[Field]:
    """Rectangles that fill `whole` in proportion to `areas` (each > 0, in decreasing order), one for each of them."""
    scale = whole.width * whole.height / math.fsum(areas)
    left = [area * scale for area in areas]
    fields: list[Field] = []
    room = whole
    while left:
        row = _row(left, min(room.width, room.height))
        drawn, room = _laid(left[:row], room, is_last=row == len(left))
        fields += drawn
        left = left[row:]
    return fields


def _by_stage(holdings: Sequence[Holding]) -> dict[Stage, list[Holding]]:
    """Stages in the order in which companies pass them, those without capital left out; the heaviest sector first."""
    ordered = sorted(holdings, key=lambda holding: (-holding.weight, holding.bucket_id))
    by_stage = {stage: [holding for holding in ordered if holding.stage is stage] for stage in Stage}
    return {stage: held for stage, held in by_stage.items() if held}


def _row(areas: Sequence[float], side: float) -> int:
    """How many of the areas make the first row along a side: as many as make its worst field more like a square."""
    count = 1
    while count < len(areas) and _worst_ratio(areas[: count + 1], side) <= _worst_ratio(areas[:count], side):
        count += 1
    return count


def _worst_ratio(row: Sequence[float], side: float) -> float:
    """Of long to short side, over a row. Source: Bruls et al. (2000), function `worst`."""
    total = math.fsum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))


def _laid(row: Sequence[float], room: Field, *, is_last: bool) -> tuple[list[Field], Field]:
    """A row along the shorter side of the room, and what it leaves. The last one takes all there is."""
    x, y, width, height = room
    total = math.fsum(row)
    upright = height <= width
    side = height if upright else width
    depth = (width if upright else height) if is_last else total / side
    fields, along = [], 0.0
    for area in row:
        length = side * area / total
        if upright:
            fields.append(Field(x, y + along, depth, length))
        else:
            fields.append(Field(x + along, y, length, depth))
        along += length
    rest = Field(x + depth, y, width - depth, height) if upright else Field(x, y + depth, width, height - depth)
    return fields, rest


def _draw(axes: Axes, holding: Holding, field: Field) -> None:
    color = STAGE_COLORS[holding.stage]
    x, y, width, height = field
    axes.add_patch(Rectangle((x, y), width, height, facecolor=color, edgecolor="white", linewidth=1.0))
    share = f"{holding.weight:.1%}"
    for size in FONT_SIZES:
        for lines in ((holding.sector, share), (f"{holding.sector} {share}",)):
            if _fits(lines, size, field):
                centre = (x + width / 2, y + height / 2)
                text = "\n".join(lines)
                axes.text(*centre, text, size=size, color=_legible_on(color), ha="center", va="center")
                return


def _fits(lines: Sequence[str], size: float, field: Field) -> bool:
    em = size / POINTS_PER_INCH
    widest = max(len(line) for line in lines)
    return widest * CHARACTER_EM * em <= 0.9 * field.width and len(lines) * LINE_EM * em <= 0.9 * field.height


def _legible_on(color: str) -> str:
    """Black or white, whichever contrasts more. Source: WCAG 2.2, definitions of relative luminance and contrast."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def _in_words(stages: Mapping[Stage, Sequence[Holding]], totals: Mapping[Stage, float]) -> str:
    """For a reader who cannot see it."""
    parts = []
    for stage, held in stages.items():
        named = [holding for holding in held if holding.weight >= NAMED]
        words = [f"{holding.sector} {holding.weight:.1%}" for holding in named]
        if len(named) < len(held):
            rest = math.fsum(holding.weight for holding in held[len(named) :])
            words.append(f"{len(held) - len(named)} smaller ones {rest:.2%}")
        parts.append(f"{stage.value} {totals[stage]:.1%}: {', '.join(words)}")
    return f"Treemap of the allocation by stage and sector. {'; '.join(parts)}."
