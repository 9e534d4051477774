"""What all parts of a result have in common: frozen, camelCase in JSON, no unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """Base of all parts of a result."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, with public keys."""
        return self.model_dump(mode="json", by_alias=True)
