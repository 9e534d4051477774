"""What solves took, as one value that adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """nodes: of branch and bound; work: in the units that limits count. reproducible: no limit of time cut a solve
    short, so that the same input gives the same bytes."""

    nodes: int = 0
    work: int = 0
    reproducible: bool = True

    def __add__(self, other: Effort) -> Effort:
        return Effort(self.nodes + other.nodes, self.work + other.work, self.reproducible and other.reproducible)
