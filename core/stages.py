"""The financing stages a company passes through, in order."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Seed -> A -> B -> C. Graduating from C is an exit."""

    SEED = "Seed"
    A = "A"
    B = "B"
    C = "C"

    @property
    def next(self) -> Stage | None:
        """The stage after this one; None after C."""
        order = list(Stage)
        position = order.index(self) + 1
        return order[position] if position < len(order) else None


def bucket_id(stage: str, sector: str) -> str:
    """The one name of a bucket: `{stage}_{sector}`, e.g. `Seed_SaaS`."""
    return f"{stage}_{sector}"
