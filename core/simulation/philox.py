"""Uniform numbers from a counter: any part of a stream can be drawn alone, in any order, on any machine.

Only the raw output of NumPy's Philox4x64 is used, which is fixed by its definition; the streams of NumPy's
`Generator` may change between versions. Source: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray


class Purpose(IntEnum):
    """What the numbers of a matrix key are for. Two purposes never share a number."""

    OUT_OF_SAMPLE = 1
    BOOTSTRAP = 2
    MATRIX = 3
    RECYCLED = 4
    OUT_OF_SAMPLE_RECYCLED = 5
    RISK = 6
    RISK_RECYCLED = 7
    TIGHTENING = 8
    TIGHTENING_RECYCLED = 9


def raw_words(
    matrix_key: str, purpose: Purpose, block: int, stream: int, *, count: int, skip: int = 0
) -> NDArray[np.uint64]:
    """`count` 64-bit words of one stream of one block, after the first `skip` groups of four.

    The key of the generator is the first 16 bytes of sha256(matrix_key), its 256-bit counter starts at
    purpose << 192 | block << 128 | stream << 64, so that a stream has room for 2^66 words. block, stream: below 2^64.
    """
    key = int.from_bytes(hashlib.sha256(matrix_key.encode()).digest()[:16], "big")
    counter = purpose << 192 | block << 128 | stream << 64 | skip
    words: NDArray[np.uint64] = np.random.Philox(key=key, counter=counter).random_raw(count)
    return words


def uniforms(matrix_key: str, purpose: Purpose, block: int, stream: int, count: int) -> FloatArray:
    """Uniform in the open interval (0, 1), shape (count,): odd multiples of 2^-53, so neither 0 nor 1."""
    words = raw_words(matrix_key, purpose, block, stream, count=count)
    return ((words >> np.uint64(11)) | np.uint64(1)).astype(np.float64) * 2.0**-53
