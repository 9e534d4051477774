"""A result as JSON, or its allocation as CSV or Parquet, whatever the client accepts.

Source: RFC 9110, section 12.5.1, for Accept and its qualities.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

from api.problems import Problem
from core.result.frames import allocation_frame
from core.result.model import Holding

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
FORMULA = r"^[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]"
OFFERED = (JSON, CSV, PARQUET)


def chosen(accept: str | None) -> str:
    """The best of `OFFERED`; the first where the client has no preference. Raises Problem 406 where none will do."""
    ranges = [_parsed(part) for part in (accept or "*/*").split(",") if part.strip()]
    best = max(OFFERED, key=lambda offered: (_quality(offered, ranges), -OFFERED.index(offered)))
    if _quality(best, ranges) <= 0:
        raise Problem(406, "not_acceptable", f"a result can be had as {', '.join(OFFERED)}")
    return best


def allocation_table(allocation: Sequence[Holding], media_type: str) -> bytes:
    """One row a bucket, in the result's order."""
    frame = allocation_frame(allocation)
    buffer = io.BytesIO()
    if media_type == PARQUET:
        frame.write_parquet(buffer)
    else:
        frame.with_columns(_as_text(frame)).write_csv(buffer)
    return buffer.getvalue()


def _as_text(frame: pl.DataFrame) -> list[pl.Expr]:
    """Spreadsheets take a cell that begins so for a formula, and may run it; after an apostrophe it is text.

    Source: OWASP, CSV Injection.
    """
    texts = [pl.col(name) for name, kind in frame.schema.items() if kind == pl.String]
    return [pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text).name.keep() for text in texts]


def _parsed(part: str) -> tuple[str, float]:
    media_range, *parameters = [piece.strip() for piece in part.split(";")]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return media_range.lower(), min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media_range.lower(), 0.0
    return media_range.lower(), 1.0


def _quality(offered: str, ranges: Sequence[tuple[str, float]]) -> float:
    """That of the most specific range that covers it."""
    kind = offered.partition("/")[0]
    for specific in (offered, f"{kind}/*", "*/*"):
        for media_range, quality in ranges:
            if media_range == specific:
                return quality
    return 0.0
