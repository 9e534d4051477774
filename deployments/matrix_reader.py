"""A scenario matrix from a Parquet file in the form that `deployments.matrix_file` writes, from any source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.arrays import Float32Array, FloatArray
from core.errors import BadInput, FieldProblem
from core.matrix.external_matrix import ExternalMatrix, GivenBucket, checked_matrix
from core.matrix.scenario_matrix import ScenarioState
from deployments.matrix_file import SCHEMA

FIELD = "--matrix"


@dataclass(frozen=True, slots=True)
class MatrixFile:
    """provenance: versions of model and calibration, and matrix_key, as far as the file says.
    rounded: whether multiples were given in double precision and are not all exact in single precision."""

    given: ExternalMatrix
    provenance: Mapping[str, str]
    rounded: bool


def read_matrix(path: Path) -> MatrixFile:
    """Columns beyond those of the form are not read. Raises BadInput for a file that is no matrix, column by column."""
    table = _table(path)
    _require_columns(table)
    rows = [
        GivenBucket(**values) for values in table.select([name for name in SCHEMA.names if name != "moic"]).to_pylist()
    ]
    moic = [_multiples(rows[k].key, entry) for k, entry in enumerate(table.column("moic"))]
    with np.errstate(over="ignore"):
        rounded = any(not np.array_equal(values, values.astype(np.float32), equal_nan=True) for values in moic)
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return MatrixFile(checked_matrix(rows, moic, _states(metadata)), _provenance(metadata), rounded)


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise BadInput.of(FIELD, str(path), "cannot be read: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise BadInput.of(FIELD, str(path), f"cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _require_columns(table: pa.Table) -> None:
    problems = []
    for field in SCHEMA:
        if field.name not in table.schema.names:
            rule = f"column {field.name} ({_kind(field.type)}) is missing"
            problems.append(FieldProblem(FIELD, table.schema.names, rule))
            continue
        column = table.column(field.name)
        if not _same_kind(column.type, field.type):
            problems.append(FieldProblem(field.name, str(column.type), f"must be a column of {_kind(field.type)}"))
        elif column.null_count:
            rule = f"must have a value in every row; {column.null_count} have none"
            problems.append(FieldProblem(field.name, None, rule))
    if problems:
        raise BadInput(problems)


def _same_kind(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(given) or pa.types.is_large_string(given))
    if pa.types.is_floating(wanted):
        return bool(pa.types.is_floating(given) or pa.types.is_integer(given))
    if not isinstance(given, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return False
    return bool(pa.types.is_float32(given.value_type) or pa.types.is_float64(given.value_type))


def _kind(wanted: pa.DataType) -> str:
    if pa.types.is_string(wanted):
        return "text"
    return "numbers" if pa.types.is_floating(wanted) else "lists of multiples in single or double precision"


def _multiples(key: str, entry: Any) -> FloatArray | Float32Array:
    values = entry.values
    if values.null_count:
        raise BadInput.of(f"moic[{key}]", None, f"must have a number in every scenario; {values.null_count} have none")
    multiples: FloatArray | Float32Array = values.to_numpy(zero_copy_only=False)
    return multiples


def _states(metadata: Mapping[str, str]) -> list[ScenarioState] | None:
    text = metadata.get("vcfolio.scenario_states")
    if text is None:
        return None
    try:
        return [ScenarioState.from_json(state) for state in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        rule = f"is not what `vcfolio simulate` writes: {error}"
        raise BadInput.of("vcfolio.scenario_states", text[:60], rule) from None


def _provenance(metadata: Mapping[str, str]) -> dict[str, str]:
    """Optional; what the file states is not checked."""
    provenance = {}
    if "vcfolio.matrix_key" in metadata:
        provenance["matrix_key"] = metadata["vcfolio.matrix_key"]
    if "vcfolio.key_document" in metadata:
        try:
            key = json.loads(metadata["vcfolio.key_document"])["key"]
            provenance |= {name: str(key[name]) for name in ("sim_model_version", "calibration_version")}
        except (ValueError, KeyError, TypeError) as error:
            rule = f"is not what `vcfolio simulate` writes: {error}"
            raise BadInput.of("vcfolio.key_document", metadata["vcfolio.key_document"][:60], rule) from None
    return provenance
