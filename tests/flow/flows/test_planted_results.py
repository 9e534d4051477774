"""Files in the directory of Prefect's results are data: whatever they say, nothing in them is executed."""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.flow.flows.product import Product, task_states

pytestmark = pytest.mark.xdist_group("flows")

RESULTS = servers.home() / "results"


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def pickled(marker: Path) -> str:
    return base64.encodebytes(pickle.dumps(Payload(marker))).decode()


def with_pickle_serializer(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    serializer = {"type": "pickle", "picklelib": "pickle", "picklelib_version": None}
    return record | {"metadata": record["metadata"] | {"serializer": serializer}, "result": pickled(marker)}


def with_compressed_pickle(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    serializer = {
        "type": "compressed",
        "serializer": {"type": "pickle", "picklelib": "pickle", "picklelib_version": None},
        "compressionlib": "bz2",
    }
    return record | {"metadata": record["metadata"] | {"serializer": serializer}, "result": pickled(marker)}


def in_the_format_of_older_versions(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    return {"serializer": {"type": "pickle", "picklelib": "pickle"}, "data": pickled(marker)}


def with_a_decoder_of_its_own(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    serializer = record["metadata"]["serializer"] | {"object_decoder": f"{__name__}.decoder_that_was_called"}
    return record | {"metadata": record["metadata"] | {"serializer": serializer}}


def with_a_class_to_make(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    return record | {"result": json.dumps({"__exc_type__": f"{__name__}.MadeException", "message": "planted"})}


def of_another_matrix(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    reference = json.loads(record["result"])
    return record | {"result": json.dumps(reference | {"key": reference["key"][:-1] + "x"})}


def with_something_more(record: dict[str, Any], marker: Path) -> dict[str, Any]:
    return record | {"result": json.dumps(json.loads(record["result"]) | {"more": 1})}


executed: list[str] = []


def decoder_that_was_called(found: dict[str, Any]) -> dict[str, Any]:
    executed.append("decoder")
    return found


class MadeException(Exception):
    def __init__(self, message: str) -> None:
        executed.append(message)


PLANTS: list[Callable[[dict[str, Any], Path], dict[str, Any]]] = [
    with_pickle_serializer,
    with_compressed_pickle,
    in_the_format_of_older_versions,
    with_a_decoder_of_its_own,
    with_a_class_to_make,
    of_another_matrix,
    with_something_more,
]


def test_a_planted_file_is_passed_over_and_written_anew(product: Product, tmp_path: Path) -> None:
    first = product.completed()
    file, marker = RESULTS / first.matrix_key, tmp_path / "executed"
    whole = json.loads(file.read_text())
    assert task_states(product.completed().flow_run_id, "matrix")["matrix"] == ["Cached"]
    for plant in PLANTS:
        file.write_text(json.dumps(plant(whole, marker)))
        again = product.completed()
        assert not marker.exists(), plant
        assert executed == [], plant
        assert again.matrix_key == first.matrix_key
        assert task_states(again.flow_run_id, "matrix")["matrix"] == ["Completed"], plant
        assert json.loads(file.read_text())["result"] == whole["result"]


def test_a_file_that_others_can_have_written_is_passed_over(product: Product, tmp_path: Path) -> None:
    file = RESULTS / product.completed().matrix_key

    def made_a_link() -> None:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")

    plants: list[Callable[[], None]] = [made_a_link, partial(file.chmod, 0o666)]
    if os.geteuid() == 0:
        plants.append(partial(os.chown, file, 65534, 65534))
    for plant in plants:
        plant()
        assert task_states(product.completed().flow_run_id, "matrix")["matrix"] == ["Completed"], plant
        assert task_states(product.completed().flow_run_id, "matrix")["matrix"] == ["Cached"], plant


def test_results_are_for_this_user_alone_and_none_of_them_is_a_pickle(product: Product) -> None:
    file = RESULTS / product.completed().matrix_key
    assert RESULTS.stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text())["metadata"]["serializer"]["type"] == "json"
