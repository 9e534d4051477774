"""The frontier: which values, in which order, what points learn from each other, and that each is an optimum."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from core.charts.frontier import ChartPoint, FrontierPicture, frontier_chart
from core.errors import BadInput
from core.frontier.document import flatness, risk_out_of_sample
from core.frontier.family import Assignment, solve_family
from core.frontier.plan import certified, excluded, start_for, waves
from core.frontier.point import FrontierPoint, point_document, solve_point
from core.frontier.variation import Variation, parse_variation
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.strict import StrictFigures
from core.request.normalize import normalize
from core.request.normalized_config import NormalizedConfig
from core.risk.recheck import recheck
from core.solver.backends import make_backend
from core.solver.program import SolveControl
from tests.unit.core.examples import example_request, example_snapshot
from tests.unit.core.oracles import textbook_mip
from tests.unit.core.test_optimize import fund_of

CONTROL = SolveControl(work_limit=200_000)
GAP = CONTROL.relative_gap


# Which values


def test_values_are_evenly_spaced_as_if_by_hand_and_go_from_tight_to_loose() -> None:
    assert parse_variation(["cvarLimit=0.1:0.5:9"]).values == (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
    assert parse_variation(["cvarLimit=0.5:0.1:3"]).values == (0.1, 0.3, 0.5)
    assert parse_variation(["minExpectedWinners=1,3,2.5,1"]).values == (3.0, 2.5, 1.0)
    assert parse_variation(["sectorBounds.Dot.Com.min=0,0.2"]).values == (0.2, 0.0)
    assert parse_variation(["cvar_confidence_level=0.9,0.95"]) == Variation("cvarConfidenceLevel", (0.95, 0.9))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "must be given once"),
        (["cvarLimit=0:1:3", "maxLossProbability=0:1:3"], "must be given once"),
        (["cvarLimit"], "must be FIELD=START:STOP:COUNT"),
        (["totalFundSize=1:2:3"], "must be one of maxLossProbability"),
        (["sectorBounds.AI=0:1:3"], "must be one of"),
        (["stageBounds.Seed.middle=0:1:3"], "must be one of"),
        (["cvarLimit=0:1"], "must be START:STOP:COUNT"),
        (["cvarLimit=0:1:2.5"], "must be START:STOP:COUNT"),
        (["cvarLimit=0:1:1"], "COUNT must be 2 to 200"),
        (["cvarLimit=0:1:201"], "COUNT must be 2 to 200"),
        (["cvarLimit=0.2,0.2"], "2 to 200 different values"),
        (["cvarLimit=a,b"], "'a': must be a finite number"),
        (["cvarLimit=0.1,nan"], "'nan': must be a finite number"),
        (["cvarLimit=0:inf:3"], "'inf': must be a finite number"),
    ],
)
def test_a_variation_that_is_none_is_refused_by_name(texts: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        parse_variation(texts)
    assert refused.value.problems[0].field == "--vary"


def test_a_variation_changes_its_limit_and_nothing_else_of_the_request() -> None:
    request = example_request(sectorBounds={"Bio": {"min": 0.1}})
    for text, asked in (
        ("cvarLimit=0.2,0.3", 0.5),
        ("sectorBounds.Bio.max=0.2,0.3", 1.0),
        ("sectorBounds.SaaS.min=0.2,0.3", None),
        ("stageBounds.Seed.max=0.2,0.3", None),
        ("bucketMaxWeight=0.2,0.3", None),
        ("cvarConfidenceLevel=0.9,0.99", 0.95),
    ):
        variation = parse_variation([text])
        assert variation.asked(request) == asked
        keys = [normalize(varied, example_snapshot()).matrix_key for varied in variation.applied(request)]
        assert set(keys) == {normalize(request, example_snapshot()).matrix_key}
        for value, varied in zip(variation.values, variation.applied(request), strict=True):
            assert variation.asked(varied) == value
            document = varied.model_dump(mode="json", by_alias=True, exclude_unset=True)
            left = json.loads(json.dumps(document).replace(json.dumps(value), "null"))
            assert left["totalFundSize"] == request.total_fund_size
            assert varied.scenario_gen_config == request.scenario_gen_config


def test_values_that_no_request_may_have_are_named_all_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        parse_variation(["cvarLimit=0.5,1.5,-1"]).applied(example_request())
    assert {(problem.field, problem.value) for problem in refused.value.problems} == {
        ("cvarLimit", 1.5),
        ("cvarLimit", -1.0),
    }


# In which order


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 30])
def test_waves_take_every_point_once_the_ends_first_and_then_the_middles_of_gaps(count: int) -> None:
    order = waves(count)
    assert sorted(rank for wave in order for rank in wave) == list(range(count))
    assert order[0] == sorted({0, count - 1})
    done: set[int] = set()
    for wave in order[1:]:
        done |= {0, count - 1}
        for rank in wave:
            below, above = max(d for d in done if d < rank), min(d for d in done if d > rank)
            assert abs((rank - below) - (above - rank)) <= 1
        done |= set(wave)


def solved(value: float, objective: float | None, bound: float | None, status: str = "feasible") -> FrontierPoint:
    weights = None if objective is None else np.array([value])
    return FrontierPoint(value, status, weights, weights, objective=objective, bound=bound)  # type: ignore[arg-type]


def test_a_point_starts_from_its_tighter_neighbor_else_from_its_looser_one() -> None:
    done = {0: FrontierPoint.infeasible(0.0), 2: solved(2.0, 1.0, 2.0), 6: solved(6.0, 2.0, 2.0), 8: solved(8, 2, 2)}
    assert start_for(7, done) == np.array([6.0])
    assert start_for(1, done) == np.array([2.0])
    assert start_for(4, {}) is None


def test_what_a_looser_point_proved_holds_for_the_tighter_ones() -> None:
    points = [
        solved(0.1, None, None, "unknown"),
        solved(0.2, 1.0, 9.0),
        solved(0.3, 1.99995, 5.0),
        solved(0.4, 2.0, 2.0001, "optimal"),
        solved(0.5, None, None, "unknown"),
    ]
    shared = certified(points, 1e-4)
    assert [point.bound for point in shared] == [2.0001, 2.0001, 2.0001, 2.0001, None]
    assert [point.status for point in shared] == ["unknown", "feasible", "optimal", "optimal", "unknown"]
    assert shared[1].gap == pytest.approx(1.0001)
    ruled_out = certified([solved(0.1, None, 3.0, "unknown"), FrontierPoint.infeasible(0.2), points[3]], 1e-4)
    assert [point.status for point in ruled_out] == ["infeasible", "infeasible", "optimal"]
    assert excluded(0, {1: FrontierPoint.infeasible(0.2)})
    assert not excluded(2, {1: FrontierPoint.infeasible(0.2)})


# Each an optimum


LIMIT = "cvar_limit"
VALUES = (0.05, 0.13, 0.22, 0.3, 0.5, 0.8)


def family(
    fund: tuple[NormalizedConfig, ScenarioMatrix], control: SolveControl = CONTROL
) -> tuple[list[FrontierPoint], list[list[int]]]:
    config, matrix = fund
    seen: list[list[int]] = []

    def solve(wave: list[Assignment]) -> list[FrontierPoint]:
        seen.append([assignment.rank for assignment in wave])
        return [
            solve_point(
                VALUES[one.rank],
                config.model_copy(update={LIMIT: VALUES[one.rank]}),
                matrix,
                None,
                backend=make_backend(),
                control=control,
                start=one.start,
            )
            for one in wave
        ]

    return solve_family(VALUES, solve, control.relative_gap), seen


@pytest.mark.parametrize("seed", [0, 2])
def test_every_point_is_the_optimum_of_its_own_limit_or_proven_to_have_none(seed: int) -> None:
    config, matrix = fund_of(seed)
    points, _ = family((config, matrix))
    assert [point.value for point in points] == list(VALUES)
    assert points[0].status == "infeasible"
    assert points[-1].status == "optimal"
    problem = PortfolioProblem.of(config, matrix)
    for point in points:
        at_value = config.model_copy(update={LIMIT: point.value})
        limits = Limits.of(at_value, matrix.n_scenarios)
        strict, loose = textbook_mip(problem.program(limits), 2e-6), textbook_mip(problem.program(limits), -2e-9)
        if point.status == "infeasible":
            assert not strict.feasible
            assert point_document(point, config)["allocation"] is None
            continue
        assert point.status == "optimal"
        assert point.objective is not None
        assert point.bound is not None
        assert strict.objective * (1 - GAP) - 1e-6 <= point.objective <= loose.objective + 1e-6
        assert point.bound >= strict.objective - 1e-6
        assert point.weights is not None
        assert recheck(point.weights, matrix, at_value, limits).feasible
        assert point.figures is not None
        assert point.figures.expected_moic >= point.objective - config.primary_lock_epsilon - 1e-9
    objectives = [point.objective for point in points if point.objective is not None]
    assert objectives == sorted(objectives)


def test_points_below_one_that_is_proven_empty_are_not_solved() -> None:
    config, matrix = fund_of(0, max_loss_probability=0.0)
    points, seen = family((config, matrix))
    assert {point.status for point in points} == {"infeasible"}
    assert seen == [[0, len(VALUES) - 1]]


def test_a_family_is_the_same_to_the_bit_when_solved_again_and_survives_the_way_between_processes() -> None:
    first, second = family(fund_of(1))[0], family(fund_of(1))[0]
    assert json.dumps([p.as_json() for p in first]) == json.dumps([p.as_json() for p in second])
    back = [FrontierPoint.from_json(json.loads(json.dumps(point.as_json()))) for point in first]
    assert [p.as_json() for p in back] == [p.as_json() for p in first]


def test_without_work_points_are_unknown_or_open_and_never_called_infeasible() -> None:
    points, _ = family(fund_of(1), replace(CONTROL, work_limit=40))
    full, _ = family(fund_of(1))
    for hasty, point in zip(points, full, strict=True):
        if hasty.status == "infeasible":
            assert point.status == "infeasible"
        if point.objective is not None and hasty.bound is not None:
            assert hasty.bound >= point.objective - 1e-9


# The picture


POINTS = [ChartPoint(0.1, None, None, True), ChartPoint(0.2, None, None, False)] + [
    ChartPoint(0.3 + 0.1 * k, 2.0 + 0.1 * k, 2.2 + 0.05 * k, False) for k in range(3)
]


def test_the_chart_is_the_same_to_the_byte_and_tells_every_point_in_words() -> None:
    frontier = FrontierPicture(POINTS, "limit on CVaR", percent=True, asked=0.35)
    svg = frontier_chart(frontier, "svg")
    assert frontier_chart(replace(frontier, points=POINTS[::-1]), "svg") == svg
    assert frontier_chart(frontier, "png").startswith(b"\x89PNG")
    words = "".join(ET.fromstring(svg).itertext())
    for told in ("10%: no portfolio exists", "20%: no portfolio found", "40%: expected MOIC 2.100", "limit on CVaR"):
        assert told in words
    for drawn in ("no portfolio exists", "none found, none ruled out", "the request's limit", "best portfolio found"):
        assert drawn in words


def test_the_chart_draws_a_family_without_any_portfolio() -> None:
    frontier = FrontierPicture(POINTS[:1], "expected winners", percent=False, asked=None)
    words = "".join(ET.fromstring(frontier_chart(frontier, "svg")).itertext())
    assert "0.1: no portfolio exists" in words
    assert "best portfolio found" not in words


# What it says


def point_at(value: float, moic: float, low: float, high: float) -> FrontierPoint:
    figures = StrictFigures(moic, 10, 0.1, 0.2, 1.0)
    estimate = {"value": moic, "low": low, "high": high}
    return replace(solved(value, moic, moic), figures=figures, out_of_sample={"expectedMoic": estimate})


def config_with(**changes: object) -> NormalizedConfig:
    return fund_of(0)[0].model_copy(update=changes)


def test_a_frontier_of_the_distribution_is_flat_where_an_even_spread_may_cost_as_much() -> None:
    config = config_with(expectations="distribution", primary_lock_epsilon=0.001)
    flat = flatness([point_at(0.1, 2.0, 1.9, 2.1), point_at(0.2, 2.0015, 1.9, 2.1)], config)
    assert flat == (
        "The frontier is flat: its ends differ by 0.002x of expected MOIC, no more than an even spread of the capital "
        "may cost."
    )
    assert flatness([point_at(0.1, 2.0, 1.9, 2.1), point_at(0.2, 2.01, 1.9, 2.1)], config) is None


def test_a_frontier_of_a_sample_is_flat_where_one_value_lies_in_every_interval() -> None:
    config = config_with(expectations="sample")
    flat = flatness([point_at(0.1, 2.0, 1.9, 2.1), point_at(0.2, 2.15, 2.05, 2.25)], config)
    assert flat is not None
    assert "0.150x" in flat
    assert "within the noise" in flat
    assert flatness([point_at(0.1, 2.0, 1.9, 2.04), point_at(0.2, 2.15, 2.05, 2.25)], config) is None
    assert flatness([point_at(0.1, 2.0, 1.9, 2.1), FrontierPoint.infeasible(0.05)], config) is None


def test_risks_of_a_point_are_those_out_of_sample_with_their_interval() -> None:
    document = {"cvar": 0.3, "outOfSample": {"cvar": {"value": 0.246, "low": 0.241, "high": 0.2514}}}
    assert risk_out_of_sample(document, "cvar") == "24.6% (24.1 to 25.1)"
    assert risk_out_of_sample({"cvar": 0.3}, "cvar") == "30.0% (own scenarios)"
    assert risk_out_of_sample({"cvar": None, "outOfSample": None}, "cvar") == ""
