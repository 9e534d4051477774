"""Results as notebooks and programs use them: frames, figures and the verdict, over the typed result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl

from core.result import model
from core.result.frames import allocation_frame, limits_frame
from core.result.sentences import purchase_sentences, whole_deals_sentence
from core.result.wording import FIGURES

MARKS: dict[model.LimitStatus, str] = {"holds": "✓ Holds", "within_error": "? Too close to call", "broken": "✕ Broken"}


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a request. document: all of it, typed; the same that `vcfolio run --json` prints."""

    document: model.Result

    @property
    def verdict(self) -> model.Verdict:
        """Whether what is bought keeps the limits as asked: status, sentence, limits."""
        return self.document.verdict

    @property
    def allocation(self) -> pl.DataFrame:
        """One row a bucket, the largest first: bucketId, stage, sector, weight, dollarAmount, dealCount, avgCheckSize,
        reserveRatio, allInCostPerDeal. Weights are fractions, amounts USD."""
        return _largest_first(self.document.allocation)

    @property
    def limits(self) -> pl.DataFrame:
        """One row a limit of the verdict: asked, enforced, figure with its 95% interval, status, sentence."""
        return limits_frame(self.document.verdict.limits)

    @property
    def weights(self) -> dict[str, float]:
        """Bucket id to fraction of the fund, those that get nothing included."""
        return {holding.bucket_id: holding.weight for holding in self.document.allocation}

    @property
    def purchases(self) -> tuple[str, ...]:
        """What to buy, the most expensive position first."""
        return purchase_sentences(self.document.allocation)

    @property
    def expected_moic(self) -> float:
        """On the scenarios that the portfolio was chosen on; `document.validation` has the figures out of sample."""
        return self.document.expected_moic

    @property
    def loss_probability(self) -> float:
        return self.document.loss_probability

    @property
    def cvar(self) -> float:
        return self.document.cvar

    @property
    def expected_winners(self) -> float:
        return self.document.expected_winners

    def to_dict(self) -> dict[str, Any]:
        """With the public JSON keys."""
        return self.document.as_json()

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        validation = self.document.validation
        return _html(self.verdict, self.document.allocation, validation)

    def __repr__(self) -> str:
        return f"Result({self.verdict.status}: {self.verdict.sentence})"


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A portfolio of the user's own, judged. constraints: on the matrix; validation: in and out of sample."""

    verdict: model.Verdict
    holdings: tuple[model.Holding, ...]
    constraints: tuple[model.Constraint, ...]
    validation: model.Validation

    @property
    def allocation(self) -> pl.DataFrame:
        """One row a bucket, as `Result.allocation`."""
        return _largest_first(self.holdings)

    @property
    def limits(self) -> pl.DataFrame:
        """One row a limit of the verdict, as `Result.limits`."""
        return limits_frame(self.verdict.limits)

    def _repr_html_(self) -> str:
        return _html(self.verdict, self.holdings, self.validation)

    def __repr__(self) -> str:
        return f"Portfolio({self.verdict.status}: {self.verdict.sentence})"


def _largest_first(holdings: tuple[model.Holding, ...]) -> pl.DataFrame:
    return allocation_frame(sorted(holdings, key=lambda holding: (-holding.weight, holding.bucket_id)))


def _html(verdict: model.Verdict, holdings: tuple[model.Holding, ...], validation: model.Validation) -> str:
    """Verdict, what to buy, and the figures of the whole deals out of sample."""
    limits = "".join(f"<li>{escape(limit.sentence)}</li>" for limit in verdict.limits if limit.status != "holds")
    notes = "".join(f"<li>{escape(note)}</li>" for note in verdict.notes)
    purchases = "".join(f"<li>{escape(sentence)}</li>" for sentence in purchase_sentences(holdings))
    figures = "".join(
        f"<tr><th style='text-align:left'>{escape(figure.label)}</th>"
        f"<td>{escape(figure.with_interval(figure.estimate(validation.out_of_sample)))}</td>"
        f"<td>{escape(figure.with_interval(figure.estimate(validation.whole_deals.out_of_sample)))}</td></tr>"
        for figure in FIGURES
    )
    return (
        f"<p><strong>{escape(MARKS[verdict.status])}.</strong> {escape(verdict.sentence)}</p>"
        f"<ul>{limits}{notes}</ul>"
        f"<p><strong>What to buy</strong></p><ul>{purchases}</ul><p>{escape(whole_deals_sentence(validation))}</p>"
        "<table><thead><tr><th>out of sample</th><th>as weights</th><th>as whole deals</th></tr></thead>"
        f"<tbody>{figures}</tbody></table>"
    )
