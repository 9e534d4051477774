"""Marsaglia's Xorshift32, the generator that `three_component_v1` draws from, one number at a time.

Source: Marsaglia (2003), "Xorshift RNGs", the triple (13, 17, 5).
"""

from __future__ import annotations

import hashlib
import math

MASK_32 = 0xFFFFFFFF
SEED_INSTEAD_OF_ZERO = 0x6D2B79F5


def seed_of(matrix_key: str) -> int:
    """The first 32 bits of sha256(matrix_key). Zero, from which the generator never leaves, is replaced."""
    seed = int.from_bytes(hashlib.sha256(matrix_key.encode()).digest()[:4], "big")
    return seed or SEED_INSTEAD_OF_ZERO


class Xorshift32:
    """`state` is an unsigned 32-bit integer, never 0."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        assert 0 < seed <= MASK_32
        self.state = seed

    def next(self) -> float:
        """Uniform in (0, 1]: the divisor is the largest state, so that 1 itself can come."""
        state = self.state
        state ^= (state << 13) & MASK_32
        state ^= state >> 17
        state ^= (state << 5) & MASK_32
        self.state = state
        return state / MASK_32

    def uniform(self, low: float, high: float) -> float:
        return low + self.next() * (high - low)

    def normal(self, mean: float, standard_deviation: float) -> float:
        """By Box and Muller's transform, of which only the cosine half is used."""
        u1, u2 = self.next(), self.next()
        return mean + math.sqrt(-2.0 * math.log(u1)) * math.cos(2.0 * math.pi * u2) * standard_deviation
