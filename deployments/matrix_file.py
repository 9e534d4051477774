"""A scenario matrix as a Parquet file: one row a bucket, what belongs to the scenarios in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.matrix.scenario_matrix import ScenarioMatrix
from core.request.normalized_config import NormalizedConfig
from core.risk.bucket_stats import bucket_stats

_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("stage", pa.string(), nullable=False),
    pa.field("sector", pa.string(), nullable=False),
    pa.field("initial_check_usd", pa.float64(), nullable=False),
    pa.field("reserve_ratio", pa.float64(), nullable=False),
    pa.field("win_probability", pa.float64(), nullable=False),
    pa.field("moic", pa.list_(pa.float32()), nullable=False),
]
_STATS: list[pa.Field[Any]] = [
    pa.field("mean_moic", pa.float64(), nullable=False),
    pa.field("standard_error", pa.float64(), nullable=True),  # a single scenario tells none
    pa.field("median_moic", pa.float64(), nullable=False),
    pa.field("p90_moic", pa.float64(), nullable=False),
    pa.field("loss_share", pa.float64(), nullable=False),
]
SCHEMA = pa.schema(_FIELDS)
"""What a reader needs; what is written has the bucket's statistics besides."""


def write_matrix(
    path: Path,
    matrix: ScenarioMatrix,
    config: NormalizedConfig,
    matrix_key: str,
    key_document: Mapping[str, Any],
) -> None:
    """Metadata: `vcfolio.matrix_key`, `vcfolio.key_document` and `vcfolio.scenario_states`, the latter two as JSON."""
    metadata = {
        "vcfolio.matrix_key": matrix_key,
        "vcfolio.key_document": json.dumps(key_document),
        "vcfolio.scenario_states": json.dumps([state.as_json() for state in matrix.states]),
    }
    stats = bucket_stats(matrix)
    table = pa.table(
        {
            "key": [bucket.bucket_id for bucket in config.buckets],
            "stage": [bucket.stage.value for bucket in config.buckets],
            "sector": [bucket.sector for bucket in config.buckets],
            "initial_check_usd": [bucket.initial_check_usd for bucket in config.buckets],
            "reserve_ratio": [bucket.reserve_ratio for bucket in config.buckets],
            "win_probability": matrix.win_probability,
            "moic": list(matrix.moic),
            "mean_moic": [each.mean for each in stats],
            "standard_error": [each.standard_error for each in stats],
            "median_moic": [each.median for each in stats],
            "p90_moic": [each.p90 for each in stats],
            "loss_share": [each.loss_share for each in stats],
        },
        schema=pa.schema([*_FIELDS, *_STATS]),
    )
    pq.write_table(table.replace_schema_metadata(metadata), path)
