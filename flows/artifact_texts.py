"""A session's result in Markdown, for Prefect's page of its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.figures import FIGURES
from core.portfolio.uniqueness_sentence import uniqueness_sentence


def constraints_markdown(result: Mapping[str, Any]) -> str:
    """Every constraint; those that were relaxed and those that bind stand out in words and bold type."""
    lines = ["| constraint | required | actual | slack | |", "|---|---:|---:|---:|---|"]
    for entry in result["constraints"]:
        remarks = []
        if not entry["satisfied"]:
            remarks.append("**NOT MET**")
        if entry["relaxedFrom"] is not None:
            remarks.append(f"⚠ **RELAXED** from {entry['relaxedFrom']:.4g}")
        if entry["binding"]:
            remarks.append("binding")
        name = f"`{entry['constraintId']}`"
        lines.append(
            f"| {f'**{name}**' if entry['relaxedFrom'] is not None else name} | {entry['required']:.4f} "
            f"| {entry['actual']:.4f} | {round(entry['slack'], 4) + 0.0:+.4f} | {', '.join(remarks)} |"
        )
    if result["relaxations"]:
        lines += ["", "No portfolio meets every limit as asked. These gave way, the least sacred first:", ""]
        lines += [
            f"- `{entry['constraintId']}`: {entry['oldValue']:.6g} → {entry['newValue']:.6g}"
            for entry in result["relaxations"]
        ]
    return "\n".join(lines)


def risk_markdown(result: Mapping[str, Any]) -> str:
    """Each figure with its limit, in sample and in fresh scenarios, and whether the limit holds there."""
    fresh = result["validation"]["outOfSample"]
    lines = [
        f"Fresh: {fresh['scenarios']:,} scenarios that the answer was not chosen on, with 95% intervals.",
        "",
        "| | limit | in sample | fresh | holds? |",
        "|---|---:|---:|---:|---|",
    ]
    for each in FIGURES:
        figure = fresh[each.name]
        holds = figure.get("holdsOutOfSample", "").replace("_", " ")
        cells = (each.label, each.limit(figure), each.shown(result[each.name]), each.with_interval(figure), holds)
        lines.append(f"| {' | '.join(cells)} |")
    solver = result["solver"]
    proof = f"Proven to be within {solver['gap']:.4%} of the best portfolio on its scenarios."
    unique = uniqueness_sentence(solver["tieBreak"])
    lines += ["", proof if unique is None else f"{proof} {unique}"]
    return "\n".join(lines)
