"""The reference of the result names every field of its models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from core.result.model import MatrixResult, Result

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "result.md"


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model in a type, and in the fields of those models."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for argument in get_args(annotation):
        yield from models_in(argument)


@pytest.mark.parametrize("model", sorted({*models_in(Result), *models_in(MatrixResult)}, key=lambda one: one.__name__))
def test_every_field_of_a_result_is_in_its_reference(model: type[BaseModel]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if not re.search(rf"(?<![A-Za-z]){name}(?![A-Za-z])", text)] == []
