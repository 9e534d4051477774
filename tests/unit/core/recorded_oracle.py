"""Answers of the slow oracles to the programs of the fuzz, computed once and kept in `tests/golden`.

`--regenerate-oracles` asks the oracle anew and writes what it says. An answer belongs to one program to the byte: where
what makes the programs has changed, the test says so instead of comparing with another program's answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.solver.program import ChanceProgram
from tests.unit.core.oracles import OracleAnswer, textbook_mip

STRICT, LOOSE = 2e-6, -2e-9
"""Margins of the loss threshold: what the strict reading reaches can be reached, and no more than the loose one."""

Oracle = Callable[[ChanceProgram, float], OracleAnswer]


def live(name: str, program: ChanceProgram, oracle: Oracle = textbook_mip) -> tuple[OracleAnswer, OracleAnswer]:
    """What the oracle says now, strict and loose; `name` is not looked at."""
    return oracle(program, STRICT), oracle(program, LOOSE)


@dataclass
class RecordedOracle:
    """Called as `live` is. regenerate: ask anew, and `save` what was said."""

    path: Path
    regenerate: bool

    def __post_init__(self) -> None:
        self._answers: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(
        self, name: str, program: ChanceProgram, oracle: Oracle = textbook_mip
    ) -> tuple[OracleAnswer, OracleAnswer]:
        if self.regenerate:
            answers = [_as_json(answer) for answer in live(name, program, oracle)]
            self._answers[name] = {"program": _digest(program), "strict": answers[0], "loose": answers[1]}
        known = self._answers[name]
        assert known["program"] == _digest(program), f"{name}: another program; see --regenerate-oracles"
        return _from_json(known["strict"]), _from_json(known["loose"])

    def save(self) -> None:
        if self.regenerate:
            lines = [f"{json.dumps(name)}: {json.dumps(self._answers[name])}" for name in sorted(self._answers)]
            self.path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Says in a failure which of the programs it is about."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"this was {what}")
        raise


def each(kind: str, seeds: Iterable[int]) -> Iterator[tuple[str, int, np.random.Generator]]:
    """A name, the seed and its generator, for each seed."""
    for seed in seeds:
        yield f"{kind}, seed {seed}", seed, np.random.Generator(np.random.Philox(seed))


def _digest(program: ChanceProgram) -> str:
    digest = hashlib.sha256()
    for value in _values(program):
        digest.update(np.ascontiguousarray(np.asarray(value, dtype=float)).tobytes())
    return digest.hexdigest()[:16]


def _values(program: ChanceProgram) -> Iterator[Any]:
    for field in fields(program):
        value = getattr(program, field.name)
        if field.name == "polytope":
            yield from (getattr(value, inner.name) for inner in fields(value))
        else:
            yield value


def _as_json(answer: OracleAnswer) -> dict[str, Any] | None:
    return asdict(answer) if answer.feasible else None


def _from_json(document: dict[str, Any] | None) -> OracleAnswer:
    return OracleAnswer(False) if document is None else OracleAnswer(**document)
