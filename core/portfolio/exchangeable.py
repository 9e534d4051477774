"""Which buckets no calibration tells apart: what is expected of them, what they cost and how they move with others.

Two sectors are exchangeable where the scenarios' distribution stays the same when they change places: they have the
same stages, in each of them the same parameters, and the same correlations with every other sector. That is an
equivalence (two exchanges make a third), so that sectors fall into groups, and buckets into one group a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.simulation.inputs import BucketParams, SimulationInputs
from core.stages import Stage

Groups = tuple[tuple[int, ...], ...]
"""Positions of buckets; every bucket is in one group."""


def exchangeable_buckets(inputs: SimulationInputs) -> Groups:
    """Groups in the order of their first buckets."""
    groups: list[list[str]] = []
    for sector in sorted({bucket.sector for bucket in inputs.buckets}):
        group = next((group for group in groups if _exchangeable(inputs, group[0], sector)), None)
        if group is None:
            groups.append([sector])
        else:
            group.append(sector)
    group_of = {sector: number for number, group in enumerate(groups) for sector in group}
    return _grouped([(group_of[bucket.sector], bucket.stage) for bucket in inputs.buckets])


def split_by_bounds(groups: Groups, config: NormalizedConfig) -> Groups:
    """Groups whose sectors have the same bounds."""
    unbounded = WeightBounds()
    bounds = [config.sector_bounds.get(bucket.sector, unbounded) for bucket in config.buckets]
    group_of = {bucket: number for number, group in enumerate(groups) for bucket in group}
    return _grouped([(group_of[b], bounds[b].min, bounds[b].max) for b in range(len(config.buckets))])


def _grouped(labels: Sequence[object]) -> Groups:
    found: dict[object, list[int]] = {}
    for position, label in enumerate(labels):
        found.setdefault(label, []).append(position)
    return tuple(tuple(group) for group in found.values())


def _exchangeable(inputs: SimulationInputs, one: str, other: str) -> bool:
    return _buckets_of(inputs, one) == _buckets_of(inputs, other) and _correlated_alike(inputs, one, other)


def _buckets_of(inputs: SimulationInputs, sector: str) -> dict[Stage, BucketParams]:
    """By stage, without the names that tell them apart."""
    return {bucket.stage: replace(bucket, key="", sector="") for bucket in inputs.buckets if bucket.sector == sector}


def _correlated_alike(inputs: SimulationInputs, one: str, other: str) -> bool:
    if inputs.correlation is None:
        return True
    sectors, rows = inputs.correlation
    i, j = sectors.index(one), sectors.index(other)
    return all(rows[i][k] == rows[j][k] for k in range(len(sectors)) if k not in (i, j))
