"""What all tables share: naming, column types, and the spelling of common CHECKs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import TIMESTAMP, CheckConstraint, Column, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Timestamp = TIMESTAMP(timezone=True)

Json = JSONB(none_as_null=True)
"""None is SQL NULL, never the JSON value null: the CHECKs ask for NULL."""

MATRIX_KEY_RULE = "matrix_key ~ '^matrix_v1\\.2_[0-9a-f]{64}$'"


def new_uuid() -> Any:
    return text("gen_random_uuid()")


def created_at() -> Column[Any]:
    return Column("created_at", Timestamp, nullable=False, server_default=text("now()"))


def check(name: str, rule: str) -> CheckConstraint:
    """A CHECK. Mind that a rule which comes out as NULL passes."""
    return CheckConstraint(rule, name=f"chk_{name}")


def one_of(column: str, values: Iterable[str]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


def json_type(column: str, kind: str) -> str:
    """Met by SQL NULL and by a document of that kind; not by the JSON value null."""
    return f"jsonb_typeof({column}) = '{kind}'"
