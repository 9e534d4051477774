"""`vcfolio run`: create a session, carry it through in this process, show what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import Engine

from core.errors import BadInput, VcfolioError
from core.request import OptimizationRequest
from core.session_states import SessionStatus
from db.audit import COMMAND_LINE
from db.engine import transaction
from db.fault_points import arm, fault_point
from db.funds import local_user_id
from db.matrix_generations import expire_generation_of
from db.requests import resolve_request, submit_request
from db.results import session_result
from db.session_rows import Fence, SessionRow
from db.sessions import interrupted_inline_sessions, load_session, release_lease, reopen, take_session
from db.settings import Settings, load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, ResumedSession
from deployments.cli.interruptible import run_interruptibly
from deployments.cli.progress import watching
from deployments.cli.request_file import read_request
from deployments.cli.result_view import render_result
from deployments.local.services import FlowServices, flow_services
from deployments.shipped_files import example_request
from tasks.process_owner import lease_owner, owner_is_gone

POLL_S = 0.5


class SessionFailed(VcfolioError):
    """The session ended FAILED; its own error code and reason say why."""

    code = "session_failed"

    def __init__(self, session: SessionRow) -> None:
        super().__init__(f"session {session.session_id} failed with {session.error_code}: {session.error_reason}")


class SessionInterrupted(VcfolioError):
    """The run ended before its session did."""

    code = "session_interrupted"

    def __init__(self, session: SessionRow) -> None:
        super().__init__(
            f"session {session.session_id} stopped at {session.status.value}; "
            f"finish it with `vcfolio run --resume {session.session_id}`"
        )


def run(
    request: Annotated[Path | None, typer.Argument(help="Request as JSON; default: the example fund.")] = None,
    *,
    resume: ResumedSession = None,
    as_json: AsJson = False,
) -> None:
    """Raises BadInput before anything is written, SessionFailed when the session ended so."""
    if request is not None and resume is not None:
        raise BadInput.of("REQUEST", str(request), "must be left out with --resume, which has its own request")
    settings = load_settings()
    arm(settings.fault)
    parsed = None if resume else read_request(request or example_request())
    with flow_services(settings) as services:
        begin = _resuming(services, settings, resume) if resume else _creating(services, settings, parsed)
        session = _carry_through(services, begin)
    if session.status is SessionStatus.FAILED:
        raise SessionFailed(session)
    if session.status is not SessionStatus.COMPLETED:
        raise SessionInterrupted(session)
    if as_json:
        terminal.print_json(session_result(session).as_json())
    else:
        render_result(session_result(session), terminal.output)


Begin = Callable[[], Fence | SessionRow]
"""Grants the lease of a session to this process; or returns one that has ended already."""


def _carry_through(services: FlowServices, begin: Begin) -> SessionRow:
    """Drive the session's flow in this process; returns the session as it is then."""
    with terminal.notes.status("starting Prefect ..."):
        # Prefect reads its settings when it is imported.
        from deployments.prefect.flush import flush_to_server  # noqa: PLC0415
        from flows.optimize_session import optimize_session  # noqa: PLC0415

        services.wait_for_prefect()
    begun = begin()
    if isinstance(begun, SessionRow):
        return begun
    terminal.say(f"session {begun.session_id}")
    flow = partial(optimize_session, begun.session_id, begun.epoch, begun.lease_token, return_state=True)
    try:
        with watching(services.engine, begun.session_id):
            run_interruptibly(flow, give_up=partial(_release_lease, services.engine, begun))
    except KeyboardInterrupt:
        terminal.say("interrupted")
    except Exception as error:
        # The flow's own failures come back as its state: this is Prefect's, and how far the session came its row tells.
        terminal.say(f"note: Prefect failed on the way: {type(error).__name__}: {error}")
        if terminal.verbose:
            terminal.notes.print_exception()
    finally:
        flush_to_server()
    return _load(services.engine, begun.session_id)


def _creating(services: FlowServices, settings: Settings, request: OptimizationRequest | None) -> Begin:
    assert request is not None
    with transaction(services.engine) as conn:
        resolved = resolve_request(conn, request)  # errors in the request are reported before Prefect has started
        _mention_interrupted(interrupted_inline_sessions(conn))

    def begin() -> Fence:
        with transaction(services.engine) as conn:
            created = submit_request(
                conn,
                request,
                created_by=local_user_id(conn),
                credential=COMMAND_LINE,
                driver="inline",
                lease_s=settings.lease_s,
                lease_owner=lease_owner(),
                resolved=resolved,
            )
            fault_point("create.before_commit")
        fault_point("create.after_commit")
        assert created.lease_token is not None
        return Fence(created.session.session_id, created.session.epoch, created.lease_token)

    return begin


def _resuming(services: FlowServices, settings: Settings, session_id: UUID) -> Begin:
    _load(services.engine, session_id)  # an unknown id is reported before Prefect has started

    def begin() -> Fence | SessionRow:
        with terminal.notes.status(f"waiting for session {session_id} to be free ..."):
            while True:
                session = _load(services.engine, session_id)
                if session.status.terminal:
                    return session
                fence = _take_over(services.engine, settings, session)
                if fence is not None:
                    return fence
                time.sleep(POLL_S)

    return begin


def _take_over(engine: Engine, settings: Settings, session: SessionRow) -> Fence | None:
    """None while another process holds a live lease. A process of this machine that is gone does not count:
    fences, not leases, keep a zombie from writing."""
    force = owner_is_gone(session.lease_owner)
    with transaction(engine) as conn:
        epoch = reopen(conn, session.session_id, session.epoch, force=force)
        if epoch is None:
            return None
        expire_generation_of(conn, session.session_id)
        token = take_session(conn, session.session_id, epoch, settings.lease_s, lease_owner())
    assert token is not None
    return Fence(session.session_id, epoch, token)


def _release_lease(engine: Engine, fence: Fence) -> None:
    """The run notices that it no longer owns the session, and stops; it can be resumed immediately."""
    with transaction(engine) as conn:
        release_lease(conn, fence, count_failure=False)
        expire_generation_of(conn, fence.session_id)


def _mention_interrupted(sessions: list[SessionRow]) -> None:
    for session in sessions:
        terminal.say(
            f"note: session {session.session_id} was interrupted at {session.status.value}; "
            f"`vcfolio run --resume {session.session_id}` finishes it"
        )


def _load(engine: Engine, session_id: UUID) -> SessionRow:
    with transaction(engine) as conn:
        return load_session(conn, session_id)
