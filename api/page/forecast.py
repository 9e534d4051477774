"""Before a request is sent: whether its scenarios are there already, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from api.page.figures import duration
from core.request import OptimizationRequest
from db.access import Principal
from db.matrix_reads import find_matrix
from db.requests import resolve_request
from db.timings import UsualTimes, usual_times


@dataclass(frozen=True, slots=True)
class Forecast:
    cached: bool
    matrix_key: str
    matrix_words: str
    time_words: str


def forecast(conn: Connection, request: OptimizationRequest, principal: Principal) -> Forecast:
    """Raises BadInput where fund, calibration and request do not go together."""
    key = resolve_request(conn, request).matrix_key
    matrix = find_matrix(conn, key, principal.user_id)
    cached = matrix is not None and matrix.status == "complete"
    words = (
        "The scenarios of this request are stored already: only the search and the test are left to do."
        if cached
        else "No stored scenarios match this request: they will be simulated first."
    )
    return Forecast(cached, key, words, _time_words(usual_times(conn, request.fund_id), cached=cached))


def _time_words(usual: UsualTimes | None, *, cached: bool) -> str:
    if usual is None:
        return "No session of this fund has completed yet, so there is nothing to estimate from."
    seconds = usual.optimize_s + usual.validate_s + (0.0 if cached else usual.matrix_s or 0.0)
    sessions = f"{usual.sessions} completed sessions" if usual.sessions > 1 else "one completed session"
    sizes = "Larger requests take longer."
    if not cached and usual.matrix_s is None:
        sizes = "None of these had to simulate its scenarios, which comes on top."
    return f"About {duration(seconds)} once it begins, going by the fund's {sessions}. {sizes}"
