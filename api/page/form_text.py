"""Between what a request holds and what stands in an input: fractions are typed as per cent, exactly."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["number", "percent", "whole", "flag", "choice", "text", "lines", "checks", "json"]

_GROUPED = re.compile(r"^\d{1,3}(,\d{3})+(\.\d+)?$")
_FRACTION_IN_WORDS = re.compile(r"(?<![\w/^.])-?(?:\d+\.\d+|\.\d+|[01])(?![\w%/.]*[\w%/])")
_SPELLINGS = {"cvar": "CVaR", "moic": "MOIC", "cv": "CV", "p90": "P90", "id": "ID", "pct": "", "v1": "v1"}


def shown(kind: Kind, value: Any) -> str:
    """The text of an input for a value of the request; what is of the wrong type is shown as it is."""
    if value is None:
        return ""
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    if kind in ("lines", "checks") and isinstance(value, list | tuple):
        return "\n".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _plain(Decimal(repr(value)) * (100 if kind == "percent" else 1))
    return str(value)


def typed(kind: Kind, text: str) -> Any:
    """The value that was meant, or the text itself where it is none: the request's own rules then say what is wrong."""
    text = text.strip()
    if kind in ("number", "percent", "whole"):
        return _number(text, percent=kind == "percent")
    if kind == "flag":
        return {"true": True, "false": False}.get(text, text)
    if kind in ("lines", "checks"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    if kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def in_percent(words: str) -> str:
    """A description or rule about a fraction, its numbers up to 1 said as per cent."""
    return _FRACTION_IN_WORDS.sub(_as_percent, words)


def label_of(name: str) -> str:
    """`max_loss_probability` as "Max loss probability"."""
    words = [_SPELLINGS.get(word, word) for word in name.split("_")]
    label = " ".join(word for word in words if word)
    return label[:1].upper() + label[1:]


def sentence(words: str) -> str:
    """With a capital, unless it begins with a name that is code, such as a field's."""
    first = words.split(" ", 1)[0]
    return words if any(letter.isupper() for letter in first) else words[:1].upper() + words[1:]


def _number(text: str, *, percent: bool) -> Any:
    text = text.removesuffix("%").strip() if percent else text.removeprefix("$").strip()
    if _GROUPED.match(text):
        text = text.replace(",", "")
    if "_" in text:  # which Python would read over
        return text
    try:
        number = Decimal(text) / (100 if percent else 1)
        whole = number.is_finite() and number == number.to_integral_value() and abs(number) < 2**53
        value = int(number) if whole else float(number)
    except ArithmeticError:  # no number, or none that has a place in a request
        return text
    return value if math.isfinite(value) else text


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _as_percent(match: re.Match[str]) -> str:
    number = Decimal(match.group())
    return f"{_plain(number * 100)}%" if abs(number) <= 1 else match.group()
