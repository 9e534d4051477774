"""One spelling for one meaning: floats to six decimals, JSON by RFC 8785, sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785

DECIMALS = 6

_LARGEST_EXACT_INTEGER = 2**53 - 1
_SMALLEST_WITHOUT_EXPONENT = 1e-4
"""Python writes smaller numbers with an exponent; RFC 8785 does so from 1e-7 on, and in another way."""


def round6(value: Any) -> Any:
    """`value` with every float in it rounded to six decimals and -0.0 made 0.0; lists and maps are rebuilt."""
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, str):  # before the question whether it is a mapping, which takes long to answer
        return value
    if isinstance(value, Mapping):
        return {key: round6(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round6(item) for item in value]
    return value


def canonical_json(value: Any) -> bytes:
    """RFC 8785 form of JSON-like `value`: 3 and 3.0, or keys in any order, give the same bytes.

    Python's own encoder writes that form of nearly every document, many times faster than a general one.
    """
    try:
        plain = _plain(value)
    except _NotPlain:
        return rfc8785.dumps(_exact(value))
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _NotPlain(Exception):
    """Holds what Python's encoder would write in another way."""


def _plain(value: Any) -> Any:
    """`value` with whole floats as integers. Raises `_NotPlain` unless Python's encoder then writes RFC 8785: text that
    is ASCII (keys in its order are in that of UTF-16), numbers that are exact and need no exponent."""
    kind = type(value)
    if kind is float:
        if value.is_integer() and abs(value) <= _LARGEST_EXACT_INTEGER:
            return int(value)
        if _SMALLEST_WITHOUT_EXPONENT <= abs(value) <= _LARGEST_EXACT_INTEGER:
            return value
    elif kind is str:
        if value.isascii():
            return value
    elif kind is dict:
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    elif kind is list or kind is tuple:
        return [_plain(item) for item in value]
    elif value is None or kind is bool or (kind is int and abs(value) <= _LARGEST_EXACT_INTEGER):
        return value
    raise _NotPlain


def _plain_key(key: Any) -> str:
    if type(key) is str and key.isascii():
        return key
    raise _NotPlain


def _exact(value: Any) -> Any:
    """RFC 8785 knows doubles only; JSON stores may hand a large double back as an integer."""
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT_INTEGER:
        return float(value)
    if isinstance(value, Mapping):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
