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
        return next(iter(self.later), None)

    @property
    def later(self) -> tuple[Stage, ...]:
        """All stages after this one, in order."""
        return _LATER[self]


_LATER = {stage: tuple(Stage)[position:] for position, stage in enumerate(Stage, start=1)}


def bucket_id(stage: str, sector: str) -> str:
    """The one name of a bucket: `{stage}_{sector}`, e.g. `Seed_SaaS`."""
    return f"{stage}_{sector}"
