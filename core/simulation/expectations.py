"""Which buckets have one distribution, and what names it: neither fund nor seed nor sector."""

from __future__ import annotations

from dataclasses import replace

from core.canonical import canonical_json, sha256_hex
from core.simulation.inputs import BucketParams, SimulationInputs

EXPECTATIONS_VERSION = "expectations_v1"
"""How they are computed; what changes a bit of them is a new version."""


def distribution_of(bucket: BucketParams) -> BucketParams:
    """What remains of a bucket's parameters when its name and its sector's are taken away: equal for buckets whose
    companies have one distribution. What a check costs, and how checks vary, moves no expectation."""
    return replace(bucket, key="", sector="", initial_check_size=0.0, check_size_cv=0.0)


def distribution_key(inputs: SimulationInputs, distribution: BucketParams) -> str:
    """Names the distribution and everything else that its expectations depend on, for the numbers they are drawn
    from: neither fund nor seed nor sector enters."""
    document = {
        "version": EXPECTATIONS_VERSION,
        "bucket": repr(distribution),
        "inputs": repr(replace(inputs, matrix_key="", scenario_count=0, buckets=(), correlation=None)),
    }
    return sha256_hex(canonical_json(document))
