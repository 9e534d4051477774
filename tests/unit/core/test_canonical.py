"""The canonical form is that of RFC 8785, whichever of the two ways wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from core import canonical
from core.canonical import canonical_json

NUMBERS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    # What the key documents hold: six decimals.
    st.integers(-(10**10), 10**10).map(lambda millionths: millionths / 1_000_000),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=25,
)


@given(DOCUMENTS)
@example({"b": 1.0, "a": -0.0, "c": [1e-4, 9.99e-5, 1e-7, 2.0**53, 1e16, 1e21, 123456.789]})
@example({"\uffff": 1, "\U00010000": 2})
@example({'"\\/\b\f\n\r\t\x00\x1f\x7f': '"\\/\b\f\n\r\t\x00\x1f\x7f'})
def test_it_is_what_a_general_encoder_of_rfc_8785_writes(document: Any) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)
    assert canonical_json(json.loads(canonical_json(document))) == canonical_json(document)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}, {1: 2}, {"a": {1, 2}}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, TypeError)):
        canonical_json(value)


def test_documents_of_the_product_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def general(value: Any) -> bytes:
        raise AssertionError(value)

    monkeypatch.setattr(canonical.rfc8785, "dumps", general)
    assert canonical_json({"weights": (0.25, 1.0, 3), "name": "Seed_AI", "none": None}) == (
        b'{"name":"Seed_AI","none":null,"weights":[0.25,1,3]}'
    )
