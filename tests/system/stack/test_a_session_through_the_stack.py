"""One session through the real server, bridge and warm worker, and what a person sees of it in Prefect."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from core.session_states import SessionStatus
from tests.small_request import SMALL
from tests.system.stack.running import Stack
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("stack")

SVG = "data:image/svg+xml;base64,"


def test_a_request_is_carried_through_and_shown(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(SMALL | {"minExpectedWinners": 40, "taxonomyVersion": "carried through and shown"}))
    first = stack.command.call("request", str(path))[0].strip()
    assert stack.wait_for(first).status is SessionStatus.COMPLETED
    second = stack.command.call("request", str(path))[0].strip()
    lines = [json.loads(line) for line in stack.command.call("status", second, "--watch", "--json")[0].splitlines()]
    assert (lines[-1]["status"], lines[-1]["matrixCache"]) == ("COMPLETED", "hit")
    sessions = [stack.session(first), stack.session(second)]
    assert sessions[0].allocation == sessions[1].allocation
    assert (sessions[0].matrix_origin, sessions[0].epoch, sessions[1].epoch) == ("generated", 0, 0)
    (run,) = stack.flow_runs(second)
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Completed")
    assert run["name"] == f"Example Fund · session {second}"
    states = stack.task_runs(run["id"])
    assert states == {"matrix": ["Cached"], "optimize": ["Completed"], "validate": ["Completed"]}
    artifacts = stack.artifacts(run["id"])
    assert artifacts["progress"]["data"] == 100
    assert second in artifacts["session"]["data"]
    assert all(artifact["description"] for artifact in artifacts.values())
    buckets = {row["bucket"] for row in json.loads(artifacts["allocation"]["data"])}
    assert buckets == {entry["bucketId"] for entry in sessions[1].allocation or []}
    assert "RELAXED" in artifacts["constraints"]["data"]
    assert "expected MOIC" in artifacts["risk"]["data"]
    for chart in ("allocation-chart", "portfolio-multiples"):
        _, _, encoded = artifacts[chart]["data"].partition(SVG)
        assert ET.fromstring(base64.b64decode(encoded.rstrip(")"))).tag.endswith("svg")
    result = stack.command.json("result", second, "--json")
    assert result["allocation"] == sessions[1].allocation


def test_the_form_asks_for_a_session_and_carries_it_through_in_its_own_run(stack: Stack) -> None:
    deployment = stack.prefect("GET", "/deployments/name/request-optimization/request-optimization")
    schema = json.dumps(deployment["parameter_openapi_schema"])
    for shown in ("maxLossProbability", "scenarioGenConfig", "largest fraction of scenarios", '"enum"', '"default"'):
        assert shown in schema
    run = stack.prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", parameters={"request": SMALL})
    # The session bears its run's id.
    assert eventually(
        lambda: stack.rows("SELECT FROM optimization_sessions WHERE session_id = :id", id=run["id"]) != []
    )
    session = stack.wait_for(run["id"])
    assert (session.status, session.driver) == (SessionStatus.COMPLETED, "inline")
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Completed")
    assert stack.flow_run(run["id"])["name"] == f"Example Fund · session {run['id']}"
    assert set(stack.task_runs(run["id"])) == {"matrix", "optimize", "validate"}
    assert stack.rows("SELECT status FROM job_outbox WHERE session_id = :id", id=run["id"]) == [("enqueued",)]


def test_the_schedule_fires(stack: Stack) -> None:
    """The reaper's own schedule is every minute; one of seconds beside it does not have to be waited for."""

    def completed() -> set[str]:
        runs = stack.prefect("POST", "/flow_runs/filter", flows={"name": {"any_": ["reaper"]}})
        return {run["id"] for run in runs if run["state_name"] == "Completed" and run["auto_scheduled"]}

    reaper = stack.prefect("GET", "/deployments/name/reaper/reaper")
    assert [(own["active"], own["schedule"]["interval"]) for own in reaper["schedules"]] == [(True, 60)]
    before = completed()
    with stack.schedule(reaper["id"], interval_s=3):
        assert eventually(lambda: completed() > before), stack.log.read_text()[-5000:]


def test_doctor_finds_nothing_wrong_and_metrics_can_be_read(stack: Stack) -> None:
    report = stack.command.json("doctor", "--json")
    assert report["ready"]
    assert {finding["subject"] for finding in report["findings"]} >= {
        "database", "bridge", "outbox", "sessions", "transactions", "Prefect server", "deployments", "schedules",
        "workers of vcfolio", "workers of vcfolio-maintenance",
    }  # fmt: skip
    answer = httpx.get(f"http://127.0.0.1:{stack.metrics_port}/metrics", trust_env=False)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["vcfolio_database_up"].samples[0].value == 1
    assert families["vcfolio_circuit_open"].samples[0].value == 0
    assert {"vcfolio_outbox_depth", "vcfolio_outbox_oldest_due_seconds", "vcfolio_claim_latency_seconds",
            "vcfolio_rescues", "vcfolio_stale_writes_refused"} <= set(families)  # fmt: skip
