"""Scenarios in parts of about equal work, so that many workers can share it and none needs memory for all of them."""

from __future__ import annotations

from typing import NamedTuple

BLOCK_SCENARIOS = 1000
"""Scenarios that are drawn from one set of streams; part of every model version that draws by blocks."""

DRAWS_PER_PART = 10_000_000
"""Companies times scenarios: some seconds of work, so that what a task costs besides does not matter. Changes no
result, as long as parts begin at whole blocks."""


class Part(NamedTuple):
    """Scenarios start to stop; start is the first of a block."""

    start: int
    stop: int

    @property
    def scenarios(self) -> int:
        return self.stop - self.start


def parts_of(scenarios: int, draws_per_scenario: int, draws_per_part: int = DRAWS_PER_PART) -> list[Part]:
    """All scenarios, in order and without gaps: whole blocks, at least one, of about `draws_per_part` companies."""
    blocks = max(1, draws_per_part // (draws_per_scenario * BLOCK_SCENARIOS))
    step = blocks * BLOCK_SCENARIOS
    return [Part(start, min(start + step, scenarios)) for start in range(0, scenarios, step)]
