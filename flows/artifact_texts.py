"""A session's result in Markdown, for Prefect's page of its run."""

from __future__ import annotations

from core.markdown import escaped
from core.result.model import Result
from core.result.sentences import (
    limit_verdict,
    proof_sentences,
    purchase_sentences,
    relaxation_sentences,
    whole_deals_sentence,
)
from core.result.wording import FIGURES, STATUS_MARKS, STATUS_WORDS, constraint_limit, constraint_name, constraint_value


def verdict_markdown(result: Result) -> str:
    """Whether what is bought keeps the limits as asked, each limit that does not clearly, and what to buy."""
    verdict = result.verdict
    lines = [f"## {STATUS_MARKS[verdict.status]} {STATUS_WORDS[verdict.status]}", "", escaped(verdict.sentence), ""]
    lines += [f"- {escaped(limit.sentence)}" for limit in verdict.limits if limit.status != "holds"]
    lines += [f"- {escaped(note)}" for note in verdict.notes]
    lines += ["", "### What to buy", ""]
    lines += [f"- {escaped(sentence)}" for sentence in purchase_sentences(result.allocation)]
    lines += ["", escaped(whole_deals_sentence(result.validation))]
    return "\n".join(lines)


def constraints_markdown(result: Result) -> str:
    """Every constraint; those that were relaxed and those that bind stand out in words and bold type."""
    lines = ["On the scenarios that the portfolio was chosen on, as weights:", ""]
    lines += ["| limit | enforced | actual | slack | |", "|---|---:|---:|---:|---|"]
    for entry in result.constraints:
        remarks = []
        if not entry.satisfied:
            remarks.append("**NOT MET**")
        if entry.relaxed_from is not None:
            remarks.append(f"⚠ **RELAXED** from {constraint_limit(entry.type, entry.relaxed_from)}")
        if entry.binding:
            remarks.append("binding")
        name = escaped(constraint_name(entry.constraint_id))
        if entry.relaxed_from is not None:
            name = f"**{name}**"
        lines.append(
            f"| {name} | {constraint_limit(entry.type, entry.required)} "
            f"| {constraint_value(entry.type, entry.actual)} | {constraint_value(entry.type, entry.slack)} "
            f"| {', '.join(remarks)} |"
        )
    if result.relaxations:
        heading, *sentences = relaxation_sentences(result.relaxations, result.conflict)
        lines += ["", escaped(heading), "", *(f"- {escaped(sentence.strip())}" for sentence in sentences)]
    return "\n".join(lines)


def risk_markdown(result: Result) -> str:
    """Each figure with its limit, in sample and out of sample as weights and as whole deals."""
    weights, deals = result.validation.out_of_sample, result.validation.whole_deals.out_of_sample
    lines = [
        f"Out of sample: {weights.scenarios:,} scenarios that the portfolio was not chosen on, with 95% intervals.",
        "",
        "| | limit as asked | in sample | weights | whole deals | limit, by the worse of the two |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for figure in FIGURES:
        cells = (
            figure.label,
            figure.asked(result.verdict),
            figure.shown(figure.of(result)),
            figure.with_interval(figure.estimate(weights)),
            figure.with_interval(figure.estimate(deals)),
            limit_verdict(result.verdict, figure, result.validation),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", escaped(" ".join(proof_sentences(result)))])
