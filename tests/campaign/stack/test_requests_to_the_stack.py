"""Requests that the running stack refuses, repeats or has no room for, and what it says where nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.session_states import SessionStatus
from tests.small_request import SMALL
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import Stack
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("campaign-stack")


def test_a_form_filled_in_wrongly_fails_its_run_naming_each_field(stack: Stack) -> None:
    deployment = stack.prefect("GET", "/deployments/name/request-optimization/request-optimization")
    wrong = SMALL | {"cvarLimit": 1.5, "surprise": True}
    run = stack.prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", parameters={"request": wrong})
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Failed")
    message = stack.flow_run(run["id"])["state"]["message"]
    assert "cvarLimit = 1.5" in message
    assert "surprise" in message
    assert stack.rows("SELECT FROM optimization_sessions WHERE session_id = :id", id=run["id"]) == []


def test_the_same_client_key_again_is_the_same_session_and_another_body_is_refused(
    stack: Stack, tmp_path: Path
) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(SMALL))
    both = [stack.command.json("request", str(path), "--client-key", "mine", "--json") for _ in range(2)]
    assert [answer["created"] for answer in both] == [True, False]
    assert both[0]["sessionId"] == both[1]["sessionId"]
    path.write_text(json.dumps(SMALL | {"cvarLimit": 0.8}))
    output, notes = stack.command.call("request", str(path), "--client-key", "mine", code=2)
    assert output == ""
    assert both[0]["sessionId"] in notes
    assert stack.wait_for(both[0]["sessionId"]).status is SessionStatus.COMPLETED


def test_beyond_the_configured_number_of_waiting_sessions_a_request_is_refused_with_a_time(
    stack: Stack, ask: Callable[..., str], tmp_path: Path
) -> None:
    running = [stack.request_caught("hold") for _ in range(2)]
    for session_id in running:
        stack.solving(session_id)
    ask()
    path = tmp_path / "request.json"
    path.write_text(json.dumps(SMALL))
    before = stack.rows("SELECT count(*) FROM optimization_sessions")
    limits = {"VCFOLIO_MAX_WAITING_SESSIONS": "1", "VCFOLIO_RETRY_AFTER_S": "17"}
    _, notes = stack.command.call("request", str(path), code=1, **limits)
    assert "too_many_waiting" in notes
    assert "17 seconds" in notes
    assert stack.rows("SELECT count(*) FROM optimization_sessions") == before


def test_doctor_says_in_words_what_is_missing_where_nothing_runs(stack: Stack, tmp_path: Path) -> None:
    away = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    output, _ = stack.command.call("doctor", "--ready", code=1, **QUICK, **away)
    assert "does not answer" in output
    assert "http://127.0.0.1:9/api" in output
