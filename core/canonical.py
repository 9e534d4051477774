"""One spelling for one meaning: floats to six decimals, JSON by RFC 8785, sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

DECIMALS = 6

_LARGEST_EXACT_INTEGER = 2**53 - 1


def round6(value: Any) -> Any:
    """`value` with every float in it rounded to six decimals and -0.0 made 0.0; lists and maps are rebuilt."""
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, Mapping):
        return {key: round6(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round6(item) for item in value]
    return value


def canonical_json(value: Any) -> bytes:
    """RFC 8785 form of JSON-like `value`: 3 and 3.0, or keys in any order, give the same bytes."""
    return rfc8785.dumps(_exact(value))


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _exact(value: Any) -> Any:
    """RFC 8785 knows doubles only; JSON stores may hand a large double back as an integer."""
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT_INTEGER:
        return float(value)
    if isinstance(value, Mapping):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
