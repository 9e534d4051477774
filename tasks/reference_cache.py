"""Prefect's cache of references to matrices, read with distrust.

Prefect stores a task's result with the name of what is to decode it, pickle among the choices, and does what the file
says. So whoever can write the file could have any code run. Here a file counts only if it is, to the letter, what the
matrix task writes: JSON, decoded as JSON, and in it a reference to the matrix that was asked for. Anything else is
passed over as if it were not there: PostgreSQL is asked, and the file written anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem, WritableFileSystem
from prefect.serializers import JSONSerializer

from core.own_files import NotOurs, make_private_directory, read_own, require_own_directory, write_own
from db.matrices import MatrixReference

LONGEST_FILE = 10_000
_SERIALIZER: dict[str, Any] = JSONSerializer().model_dump(mode="json")
_REFERENCE = {one.name: int if one.name == "generation" else str for one in fields(MatrixReference)}


@dataclass
class MatrixKeyPolicy(CachePolicy):
    """Caches under the matrix key itself. No file is read but through `ReferencesOnly`."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002 - the base's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> str:
        storage = task_ctx.result_store.result_storage
        if not isinstance(storage, ReferencesOnly):
            assert storage is not None, "Prefect resolves it before it asks for a key"
            task_ctx.result_store.result_storage = ReferencesOnly.in_front_of(storage)
        return str(inputs["matrix_key"])


class ReferencesOnly(WritableFileSystem):
    """In front of another storage, usually the directory of PREFECT_LOCAL_STORAGE_PATH."""

    storage: WritableFileSystem

    @classmethod
    def in_front_of(cls, storage: WritableFileSystem) -> ReferencesOnly:
        front = cls.model_construct(storage=storage)
        # By which Prefect's records name where they lie; None for a directory.
        front._block_document_id = storage._block_document_id  # noqa: SLF001
        return front

    def _resolve_path(self, path: str) -> Any:
        """Where Prefect's records say that it lies. Prefect's own follows a link of that name."""
        if self._directory is not None:
            return self._directory / Path(path).name
        resolve = getattr(self.storage, "_resolve_path", None)
        return None if resolve is None else resolve(path)

    @property
    def _directory(self) -> Path | None:
        if not isinstance(self.storage, LocalFileSystem):
            return None
        return Path(self.storage.basepath or ".").expanduser().resolve()

    # Prefect calls the methods of its own storages so: a synchronous one, and one whose name begins with an a.
    def read_path(self, path: str, *, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Raises OSError or ValueError for what is no reference to the matrix that `path` is named after; Prefect takes
        both for a file that is not there."""
        return _checked(path, self._content(path))

    async def aread_path(self, path: str) -> bytes:
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, *, _sync: bool = True) -> Any:
        if self._directory is not None:
            make_private_directory(self._directory)
            write_own(self._directory / Path(path).name, content)
            return path
        write: Any = self.storage.write_path
        return write(path, content=content, _sync=True)

    async def awrite_path(self, path: str, content: bytes) -> Any:
        return self.write_path(path, content)

    async def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        raise NotImplementedError

    async def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> None:
        raise NotImplementedError

    def _content(self, path: str) -> bytes:
        if self._directory is not None:
            require_own_directory(self._directory)
            return read_own(self._directory / Path(path).name)
        read: Any = self.storage.read_path
        content: bytes = read(path, _sync=True)
        return content


def _checked(path: str, content: bytes) -> bytes:
    if len(content) > LONGEST_FILE:
        raise ValueError(f"{path} is longer than a reference")
    record = json.loads(content)
    if record["metadata"]["serializer"] != _SERIALIZER:
        raise NotOurs(f"{path} names another serializer")
    reference = json.loads(record["result"])
    if {name: type(value) for name, value in reference.items()} != _REFERENCE or reference["key"] != Path(path).name:
        raise NotOurs(f"{path} is no reference to the matrix that it is named after")
    return content
