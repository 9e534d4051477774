"""Whether the answer is the only one as close to equal weights, as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def uniqueness_sentence(tie_break: Mapping[str, Any]) -> str | None:
    """tie_break: as a result document has it; None for one of a version that did not ask.

    The difference is rounded to tenths of a percentage point, which is what counts as one at all.
    """
    if "unique" not in tie_break:
        return None
    if tie_break["unique"] is None:
        return "Whether other portfolios are as close to equal weights was not settled."
    if tie_break["unique"]:
        return "It is the only portfolio that close to equal weights, to a tenth of a percentage point."
    witness = tie_break["witness"]
    points = 100.0 * abs(witness["difference"])
    return f"Other portfolios are as close to equal weights: {witness['bucketId']} could differ by {points:.1f} points."
