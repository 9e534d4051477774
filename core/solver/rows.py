"""Sparse rows assembled from dense and diagonal pieces, so that a model's blocks read as they are written on paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Compressed rows: row i holds entries starts[i]:starts[i+1] of indices and values; lower <= row @ x <= upper."""

    starts: IntArray
    indices: IntArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray


class RowBlocks:
    """Collects blocks of rows, then assembles them once."""

    def __init__(self) -> None:
        self._count = 0
        self._entries: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._lower: list[FloatArray] = []
        self._upper: list[FloatArray] = []

    def add(self, lower: FloatArray | float, upper: FloatArray | float, pieces: dict[int, FloatArray]) -> None:
        """One block of rows. pieces: column offset -> a (count, width) matrix, or a (count,) diagonal.

        A row whose piece should hold the same number in several columns is given as a (1, width) matrix.
        """
        count = max(piece.shape[0] for piece in pieces.values())
        for offset, piece in pieces.items():
            assert piece.shape[0] == count
            if piece.ndim == 2:
                row, column = np.nonzero(piece)
                values = piece[row, column]
            else:
                row = column = np.flatnonzero(piece)
                values = piece[row]
            self._entries.append((row + self._count, column + offset, values))
        self._lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), count))
        self._upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), count))
        self._count += count

    def assemble(self) -> SparseRows:
        row = np.concatenate([entry[0] for entry in self._entries])
        column = np.concatenate([entry[1] for entry in self._entries])
        values = np.concatenate([entry[2] for entry in self._entries])
        order = np.lexsort((column, row))
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=self._count))])
        return SparseRows(
            starts, column[order], values[order], np.concatenate(self._lower), np.concatenate(self._upper)
        )


def dense_rows(rows: FloatArray, lower: FloatArray, upper: FloatArray) -> SparseRows:
    """A dense matrix (m, n) with its bounds (m,) as sparse rows."""
    blocks = RowBlocks()
    blocks.add(lower, upper, {0: rows})
    return blocks.assemble()
