"""A frontier as Markdown, for the artifact of the run that solved it."""

from __future__ import annotations

from typing import Any

from core.charts.canvas import markdown_image
from core.charts.frontier import frontier_chart
from core.frontier.document import frontier_picture, in_words, risk_out_of_sample


def frontier_markdown(document: dict[str, Any]) -> str:
    """The picture and a table of the points."""
    picture = frontier_picture(document)
    lines = [
        markdown_image(in_words(document["vary"]["field"]), frontier_chart(picture, "svg")),
        "",
        "| value | status | best expected MOIC | at most | loss probability, out of sample | CVaR, out of sample |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for point in document["points"]:
        figures = (point[name] for name in ("pass1EStar", "bound"))
        cells = " | ".join("" if figure is None else f"{figure:.4f}" for figure in figures)
        risk = " | ".join(risk_out_of_sample(point, name) for name in ("lossProbability", "cvar"))
        lines.append(f"| {point['value']:.6g} | {point['status']} | {cells} | {risk} |")
    if document.get("note"):
        lines += ["", document["note"]]
    return "\n".join(lines)
