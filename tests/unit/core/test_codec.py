"""Bytes decode to the matrix they were made from, or to an error: never to another matrix."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from core.errors import CorruptMatrix
from core.matrix.codec import EncodedMatrix, decode, encode
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.simulation import three_component_v1 as v1
from tests.unit.core.simulated_fund import make_inputs

LARGEST = float(np.finfo(np.float32).max)


@cache
def simulated() -> ScenarioMatrix:
    return v1.generate(make_inputs())


def decode_beside(encoded: EncodedMatrix, matrix: ScenarioMatrix, **changes: Any) -> ScenarioMatrix:
    beside = {
        "bucket_keys": matrix.bucket_keys,
        "win_probability": matrix.win_probability,
        "states": matrix.states,
        **changes,
    }
    return decode(encoded, **beside)


@st.composite
def matrices(draw: st.DrawFn) -> ScenarioMatrix:
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
    multiples = st.floats(0, LARGEST, width=32, allow_nan=False)
    moic = draw(arrays(np.float32, shape, elements=multiples))
    keys = draw(st.lists(st.text(max_size=8), min_size=shape[0], max_size=shape[0], unique=True))
    states = [ScenarioState("base", 0.0, (0.0,) * shape[0], (0.0,) * shape[0])] * shape[1]
    return ScenarioMatrix(moic, tuple(sorted(keys)), np.zeros(shape[0]), states)


@given(matrix=matrices())
def test_decoding_gives_back_every_bit(matrix: ScenarioMatrix) -> None:
    decoded = decode_beside(encode(matrix), matrix)
    assert decoded.moic.tobytes() == matrix.moic.tobytes()
    assert decoded.moic.shape == matrix.moic.shape
    assert decoded.moic.dtype == np.float32
    assert (decoded.bucket_keys, decoded.states) == (matrix.bucket_keys, matrix.states)


def test_a_decoded_matrix_cannot_be_written_to() -> None:
    decoded = decode_beside(encode(simulated()), simulated())
    with pytest.raises(ValueError, match="read-only"):
        decoded.moic[0, 0] = 1.0


@given(data=st.data())
def test_a_flipped_bit_never_gives_another_matrix(data: st.DataObject) -> None:
    encoded = encode(simulated())
    position = data.draw(st.integers(0, 8 * len(encoded.payload) - 1))
    payload = bytearray(encoded.payload)
    payload[position // 8] ^= 1 << position % 8
    try:
        decoded = decode_beside(dataclasses.replace(encoded, payload=bytes(payload)), simulated())
    except CorruptMatrix:
        return
    # Deflate can say the same bytes in several ways, and pads its last byte with bits that mean nothing.
    assert decoded.moic.tobytes() == simulated().moic.tobytes()


@given(data=st.data())
def test_a_truncated_or_lengthened_payload_is_an_error(data: st.DataObject) -> None:
    encoded = encode(simulated())
    kept = data.draw(st.integers(0, len(encoded.payload) - 1))
    tail = data.draw(st.binary(min_size=1, max_size=20))
    for payload in (encoded.payload[:kept], encoded.payload + tail, tail):
        with pytest.raises(CorruptMatrix):
            decode_beside(dataclasses.replace(encoded, payload=payload), simulated())


def recompressed(change: Any) -> bytes:
    """The payload of other values, compressed as properly as the right ones."""
    moic = simulated().moic.copy()
    change(moic)
    return zlib.compress(moic.tobytes())


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.5])
def test_other_values_under_the_recorded_checksum_are_an_error(value: float) -> None:
    payload = recompressed(lambda moic: moic.__setitem__((0, 0), value))
    with pytest.raises(CorruptMatrix, match="sha256"):
        decode_beside(dataclasses.replace(encode(simulated()), payload=payload), simulated())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-30])
def test_multiples_that_are_not_finite_or_negative_are_never_encoded(value: float) -> None:
    moic = simulated().moic.copy()
    moic[1, 2] = value
    with pytest.raises(CorruptMatrix, match="not finite or below 0"):
        encode(dataclasses.replace(simulated(), moic=moic))


@pytest.mark.parametrize(
    "changes",
    [
        {"codec": "zstd"},
        {"layout": "column-major"},
        {"bucket_count": 60, "scenario_count": 12},
        {"bucket_count": 0},
        {"scenario_count": -60, "bucket_count": -12},
        {"payload_sha256": "0" * 64},
    ],
    ids=str,
)
def test_a_record_that_contradicts_the_payload_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptMatrix):
        decode_beside(dataclasses.replace(encode(simulated()), **changes), simulated())


def test_values_that_belong_to_other_buckets_are_an_error() -> None:
    matrix = simulated()
    others = (*matrix.bucket_keys[:-1], "Z_other")
    with pytest.raises(CorruptMatrix, match="sha256"):
        decode_beside(encode(matrix), matrix, bucket_keys=others)
    for changes in (
        {"bucket_keys": matrix.bucket_keys[1:]},
        {"states": matrix.states[1:]},
        {"win_probability": matrix.win_probability[1:]},
    ):
        with pytest.raises(CorruptMatrix, match="recorded beside"):
            decode_beside(encode(matrix), matrix, **changes)


def test_the_same_values_in_another_shape_have_another_checksum() -> None:
    keys = ("A_x", "B_x")
    flat = np.arange(4, dtype=np.float32)
    state = ScenarioState("base", 0.0, (0.0, 0.0), (0.0, 0.0))
    wide = ScenarioMatrix(flat.reshape(1, 4), keys[:1], np.zeros(1), [state] * 4)
    square = ScenarioMatrix(flat.reshape(2, 2), keys, np.zeros(2), [state] * 2)
    assert encode(wide).payload_sha256 != encode(square).payload_sha256


def test_the_checksum_does_not_depend_on_how_the_values_were_compressed() -> None:
    matrix, encoded = simulated(), encode(simulated())
    stored = dataclasses.replace(encoded, payload=zlib.compress(matrix.moic.tobytes(), 0))
    assert decode_beside(stored, matrix).moic.tobytes() == matrix.moic.tobytes()


def test_a_payload_that_unpacks_to_far_too_much_is_refused_without_unpacking_it() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    assert len(bomb) < 60_000
    encoded = dataclasses.replace(encode(simulated()), payload=bomb)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptMatrix, match="exactly"):
            decode_beside(encoded, simulated())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_simulated_matrix_takes_less_than_two_fifths_of_its_json() -> None:
    matrix = v1.generate(make_inputs(sectors=12, scenario_count=400))
    as_json = json.dumps([[float(str(m)) for m in row] for row in matrix.moic]).encode()
    assert len(encode(matrix).payload) <= 0.4 * len(as_json)
