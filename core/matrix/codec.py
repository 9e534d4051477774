"""A scenario matrix as bytes: float32, little-endian, row-major, compressed; and back, or an error."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.errors import CorruptMatrix
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState

CODEC = "zlib"
LAYOUT = "row-major"
COMPRESSION_LEVEL = 6
LITTLE_ENDIAN_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class EncodedMatrix:
    """payload: the compressed multiples. payload_sha256: 64 hex digits, of the raw values with shape and keys.

    The checksum is not over the compressed bytes, which may differ between versions of zlib for the same values.
    """

    payload: bytes
    codec: str
    layout: str
    bucket_count: int
    scenario_count: int
    payload_sha256: str


def encode(matrix: ScenarioMatrix) -> EncodedMatrix:
    """Raises CorruptMatrix for a multiple that is not finite or below 0, which no simulation may yield."""
    _check_multiples(matrix.moic)
    raw = matrix.moic.astype(LITTLE_ENDIAN_FLOAT32, copy=False).tobytes(order="C")
    return EncodedMatrix(
        payload=zlib.compress(raw, COMPRESSION_LEVEL),
        codec=CODEC,
        layout=LAYOUT,
        bucket_count=matrix.n_buckets,
        scenario_count=matrix.n_scenarios,
        payload_sha256=checksum(raw, matrix.bucket_keys, matrix.n_scenarios),
    )


def decode(
    encoded: EncodedMatrix,
    bucket_keys: Sequence[str],
    win_probability: FloatArray,
    states: Sequence[ScenarioState],
) -> ScenarioMatrix:
    """The matrix that was encoded, its multiples read-only. What the payload does not hold comes in beside it.

    Raises CorruptMatrix unless codec, layout, shape, length and checksum agree and every multiple is finite and >= 0.
    """
    if (encoded.codec, encoded.layout) != (CODEC, LAYOUT):
        raise CorruptMatrix(f"codec {encoded.codec!r} in layout {encoded.layout!r}: only {CODEC}, {LAYOUT} is known")
    shape = encoded.bucket_count, encoded.scenario_count
    if min(shape) < 1 or shape != (len(bucket_keys), len(states)) or len(win_probability) != len(bucket_keys):
        raise CorruptMatrix(
            f"{shape[0]} buckets and {shape[1]} scenarios are recorded beside {len(bucket_keys)} bucket keys, "
            f"{len(win_probability)} win probabilities and {len(states)} states"
        )
    raw = _decompress(encoded.payload, shape[0] * shape[1] * LITTLE_ENDIAN_FLOAT32.itemsize)
    found = checksum(raw, bucket_keys, shape[1])
    if found != encoded.payload_sha256:
        raise CorruptMatrix(f"sha256 of the values is {found}, recorded is {encoded.payload_sha256}")
    moic = np.frombuffer(raw, LITTLE_ENDIAN_FLOAT32).reshape(shape).astype(np.float32, copy=False)
    _check_multiples(moic)
    return ScenarioMatrix(moic, tuple(bucket_keys), win_probability, states)


def checksum(raw: bytes, bucket_keys: Sequence[str], scenario_count: int) -> str:
    """sha256 of the JSON list [buckets, scenarios, keys], a line feed and the raw little-endian float32 values."""
    header = json.dumps([len(bucket_keys), scenario_count, list(bucket_keys)], separators=(",", ":"))
    return hashlib.sha256(header.encode() + b"\n" + raw).hexdigest()


def _decompress(payload: bytes, expected_length: int) -> bytes:
    """Never holds more than one byte above the expected length, whatever the payload would unpack to."""
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(payload, expected_length + 1)
    except zlib.error as error:
        raise CorruptMatrix(f"the payload cannot be decompressed: {error}") from error
    if len(raw) != expected_length or not stream.eof or stream.unused_data:
        raise CorruptMatrix(f"the payload does not hold exactly {expected_length} bytes of values")
    return raw


def _check_multiples(moic: np.ndarray) -> None:
    if not (np.isfinite(moic).all() and (moic >= 0.0).all()):
        raise CorruptMatrix("a multiple is not finite or below 0")
