"""Ranges of scenario blocks of about equal work: many workers can share it, and none needs memory for all scenarios."""

from __future__ import annotations

from typing import NamedTuple

BLOCK_SCENARIOS = 1000
"""Scenarios that are drawn from one set of streams; part of every model version that draws by blocks."""

DRAWS_PER_RANGE = 10_000_000
"""Companies times scenarios: some seconds of work, so that what a task costs besides does not matter. Changes no
result, as long as ranges begin at whole blocks."""


class BlockRange(NamedTuple):
    """Scenarios start to stop; start is the first of a block."""

    start: int
    stop: int

    @property
    def scenarios(self) -> int:
        return self.stop - self.start


def block_ranges_of(
    scenarios: int, draws_per_scenario: int, draws_per_range: int = DRAWS_PER_RANGE
) -> list[BlockRange]:
    """All scenarios, in order and without gaps: whole blocks, at least one, of about `draws_per_range` companies."""
    blocks = max(1, draws_per_range // (draws_per_scenario * BLOCK_SCENARIOS))
    step = blocks * BLOCK_SCENARIOS
    return [BlockRange(start, min(start + step, scenarios)) for start in range(0, scenarios, step)]
