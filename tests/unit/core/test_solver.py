"""Both backends against independent oracles, and the promises of an anytime, deterministic solve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled, SolverFailed
from core.portfolio.tie_break import deviations, tie_break_program, weights_of
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.feasibility import is_feasible, loss_count, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram, Polytope, SolveControl, SolveOutcome, SolverBackend
from core.solver.rows import SparseRows, dense_rows
from core.solver.textbook import TextbookBackend
from core.solver.work import WorkMeter
from tests.unit.core.oracles import (
    AWKWARD_KINDS,
    OracleAnswer,
    awkward_program,
    enumerated_losses,
    random_program,
    textbook_mip,
)
from tests.unit.core.recorded_oracle import Oracle, RecordedOracle, each, naming

RECORDED = Path(__file__).parents[2] / "golden" / "chance_programs.json"

CONTROL = SolveControl(work_limit=300_000)
GAP = 1.01 * CONTROL.relative_gap
BACKENDS: tuple[SolverBackend, ...] = (TextbookBackend(), BranchAndBoundBackend())


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> SolverBackend:
    return request.param


def agrees_with(backend: SolverBackend, program: ChanceProgram, strict: object, loose: object) -> None:
    """The answer lies between what a strict and a loose reading of the loss threshold can reach."""
    outcome = backend.maximize(program, CONTROL)
    if outcome.status == "infeasible":
        assert not strict.feasible
        return
    assert outcome.status == "optimal"
    assert outcome.x is not None
    assert is_feasible(program, outcome.x)
    assert outcome.objective == pytest.approx(program.objective @ outcome.x, rel=1e-12, abs=1e-12)
    assert outcome.bound >= outcome.objective - 1e-9
    assert loose.feasible
    assert outcome.objective <= loose.objective + 1e-6 * max(1.0, abs(loose.objective))
    if strict.feasible:
        assert outcome.objective >= strict.objective - GAP * abs(strict.objective)
        assert outcome.bound >= strict.objective - 1e-7 * max(1.0, abs(strict.objective))


def agree_with_the_oracle(
    answers: Callable[..., tuple[OracleAnswer, OracleAnswer]],
    name: str,
    program: ChanceProgram,
    oracle: Oracle = textbook_mip,
    backends: Sequence[SolverBackend] = BACKENDS,
) -> None:
    strict, loose = answers(name, program, oracle)
    for backend in backends:
        with naming(f"{name}, backend {backend.name}"):
            agrees_with(backend, program, strict, loose)


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest) -> Iterator[RecordedOracle]:
    oracle = RecordedOracle(RECORDED, regenerate=request.config.getoption("--regenerate-oracles"))
    yield oracle
    oracle.save()


@pytest.mark.parametrize("tens", range(0, 100, 20))
def test_agrees_with_the_textbook_mip(recorded: RecordedOracle, tens: int) -> None:
    for name, _, rng in each("random program", range(tens, tens + 20)):
        program = random_program(rng, int(rng.integers(1, 9)), int(rng.integers(1, 31)))
        agree_with_the_oracle(recorded, name, program)


@pytest.mark.parametrize("kind", AWKWARD_KINDS)
def test_agrees_with_the_textbook_mip_on_awkward_programs(recorded: RecordedOracle, kind: str) -> None:
    for name, seed, rng in each(kind, range(1000, 1045)):
        # HiGHS needs most of the time: a fifth of the programs here, all of them in the campaign.
        backends = BACKENDS if seed % 5 == 0 else BACKENDS[1:]
        agree_with_the_oracle(recorded, name, awkward_program(rng, kind), backends=backends)


def test_agrees_with_enumerating_every_set_of_losses(recorded: RecordedOracle) -> None:
    for name, _, rng in each("every set of losses", range(2000, 2012)):
        program = replace(random_program(rng, 4, 7), max_losses=int(rng.integers(0, 4)))
        agree_with_the_oracle(recorded, name, program, enumerated_losses)


def test_a_scenario_of_all_ones_never_counts_as_a_loss(backend: SolverBackend) -> None:
    rng = np.random.Generator(np.random.Philox(3))
    program = replace(random_program(rng, 8, 40), max_losses=0, cvar_limit=0.0)
    program = replace(program, payoffs=np.ones_like(program.payoffs), objective=rng.random(8))
    outcome = backend.maximize(program, CONTROL)
    assert outcome.status == "optimal"
    assert outcome.x is not None
    assert loss_count(multiples(program, outcome.x / outcome.x.sum())) == 0


def test_duplicate_buckets_and_zero_rows_change_nothing(backend: SolverBackend) -> None:
    rng = np.random.Generator(np.random.Philox(4))
    program = replace(random_program(rng, 5, 25), max_losses=12, cvar_limit=0.9)
    doubled = replace(
        program,
        objective=np.tile(program.objective, 2),
        payoffs=np.tile(program.payoffs, 2),
        cvar_slack=np.zeros(10),
        polytope=replace(
            program.polytope,
            rows=np.vstack([np.tile(program.polytope.rows, 2), np.zeros(10)]),
            row_lower=np.append(program.polytope.row_lower, -1.0),
            row_upper=np.append(program.polytope.row_upper, 0.0),
            lower=np.zeros(10),
            upper=np.ones(10),
        ),
    )
    single = backend.maximize(program, CONTROL)
    double = backend.maximize(doubled, CONTROL)
    assert single.status == double.status == "optimal"
    assert double.objective == pytest.approx(single.objective, rel=2 * GAP)


@cache
def hard_program(backend: SolverBackend) -> ChanceProgram:
    """One that takes the backend some hundred nodes."""
    rng = np.random.Generator(np.random.Philox(5))
    n_scenarios = 60 if backend.name == "highs" else 80
    program = random_program(rng, 12, n_scenarios, cap=0.25)
    free = replace(program, max_losses=n_scenarios, cvar_limit=1.0)
    loose = BranchAndBoundBackend().maximize(free, CONTROL)
    assert loose.x is not None
    return replace(free, max_losses=int(0.85 * loss_count(multiples(free, loose.x))))


@cache
def hard_answer(backend: SolverBackend) -> SolveOutcome:
    outcome = backend.maximize(hard_program(backend), CONTROL)
    assert outcome.status == "optimal"
    assert outcome.nodes > 100
    return outcome


def test_the_same_program_and_limit_give_the_same_bits(backend: SolverBackend) -> None:
    first, second = hard_answer(backend), backend.maximize(hard_program(backend), CONTROL)
    assert first.x is not None
    assert second.x is not None
    assert first.x.tobytes() == second.x.tobytes()
    assert (first.bound, first.nodes, first.work) == (second.bound, second.nodes, second.work)


def test_a_spent_work_limit_still_leaves_an_answer_and_a_valid_bound(backend: SolverBackend) -> None:
    program = hard_program(backend)
    full = hard_answer(backend)
    short = backend.maximize(program, SolveControl(work_limit=full.work // 4))
    assert short.status == "feasible"
    assert short.x is not None
    assert is_feasible(program, short.x)
    assert short.objective <= full.objective + 1e-9
    assert short.bound >= full.objective - 1e-9
    assert short.gap > full.gap
    assert short.reproducible


def test_cancelling_raises_and_the_safety_net_of_time_is_confessed(backend: SolverBackend) -> None:
    program = hard_program(backend)
    with pytest.raises(Cancelled):
        backend.maximize(program, SolveControl(interrupted=lambda: "cancelled"))
    asked = iter(range(10_000_000))
    late = backend.maximize(program, SolveControl(interrupted=lambda: "time" if next(asked) > 40 else None))
    assert not late.reproducible


def test_progress_reports_a_falling_bound_and_a_rising_objective(backend: SolverBackend) -> None:
    seen = []
    backend.maximize(hard_program(backend), SolveControl(work_limit=20_000, progress=seen.append))
    objectives = [p.objective for p in seen if p.objective is not None]
    bounds = [p.bound for p in seen]
    assert len(seen) > 2
    assert objectives == sorted(objectives)
    assert bounds == sorted(bounds, reverse=True)


def test_loosening_a_limit_never_lowers_the_optimum(backend: SolverBackend) -> None:
    program = hard_program(backend)
    best = -np.inf
    for allowed in range(program.max_losses, program.max_losses + 11, 5):
        outcome = backend.maximize(replace(program, max_losses=allowed), CONTROL)
        assert outcome.status == "optimal"
        assert outcome.objective >= best - GAP * abs(best)
        best = outcome.objective


@pytest.mark.parametrize("seed", range(8))
def test_the_tie_break_agrees_with_the_textbook_mip_and_keeps_the_first_objective(
    backend: SolverBackend, seed: int
) -> None:
    rng = np.random.Generator(np.random.Philox(3000 + seed))
    program = replace(random_program(rng, 5, 20), max_losses=20, cvar_limit=1.0)
    unlimited = backend.maximize(program, CONTROL)
    fewer = replace(program, max_losses=loss_count(multiples(program, unlimited.x)) - 1)
    first = backend.maximize(fewer, CONTROL)
    # Where losing once less is impossible, the unlimited answer has its tie-break all the same.
    program, first = (program, unlimited) if first.x is None else (fewer, first)
    second_program = tie_break_program(program, first.objective - 0.001)
    second = backend.maximize(second_program, CONTROL, deviations(first.x))
    assert second.status == "optimal"
    assert second.x is not None
    weights = weights_of(second.x)
    assert is_feasible(program, weights)
    assert program.objective @ weights >= first.objective - 0.001 - 1e-7
    loose = textbook_mip(second_program, -2e-9)
    strict = textbook_mip(second_program, 2e-6)
    assert strict.objective * (1 + GAP) <= second.objective <= loose.objective + 1e-6
    assert -second.objective == pytest.approx(np.abs(weights - 1 / 5).sum(), abs=1e-7)


def test_cvar_is_the_mean_of_the_worst_scenarios_with_a_fractional_last_one() -> None:
    portfolio = np.array([0.0, 0.5, 0.9, 1.5, 2.0])
    assert loss_tail(portfolio, 0.8).value == pytest.approx(1.0)
    assert loss_tail(portfolio, 0.6).value == pytest.approx(0.75)
    assert loss_tail(portfolio, 0.7).value == pytest.approx((1.0 + 0.5 * 0.5) / 1.5)
    assert loss_tail(portfolio, 0.0).value == pytest.approx((1.0 + 0.5 + 0.1) / 5)


def portfolio_program(payoffs: list[list[float]], max_losses: int, cvar_limit: float = 1.0) -> ChanceProgram:
    """Weights that sum to 1 and nothing else; payoffs by scenario."""
    rows = np.array(payoffs)
    n = rows.shape[1]
    return ChanceProgram(
        objective=rows.mean(axis=0),
        polytope=Polytope(np.ones((1, n)), np.ones(1), np.ones(1), np.zeros(n), np.ones(n)),
        payoffs=rows,
        payoff_offset=np.zeros(len(rows)),
        max_losses=max_losses,
        cvar_confidence=0.5,
        cvar_limit=cvar_limit,
        cvar_slack=np.zeros(n),
    )


def test_a_portfolio_that_returns_exactly_what_was_invested_is_found(backend: SolverBackend) -> None:
    # Only equal weights lose in neither scenario, and they have nothing to spare.
    outcome = backend.maximize(portfolio_program([[0.5, 1.5], [1.5, 0.5]], max_losses=0), CONTROL)
    assert outcome.status == "optimal"
    assert outcome.x == pytest.approx([0.5, 0.5], abs=1e-8)


def test_a_program_in_which_nothing_can_be_lost_is_bounded_by_its_optimum_and_not_by_zero(
    backend: SolverBackend,
) -> None:
    outcome = backend.maximize(portfolio_program([[4.0, 2.0], [2.0, 3.0]], max_losses=2), CONTROL)
    assert outcome.status == "optimal"
    assert outcome.bound == pytest.approx(3.0, rel=GAP)


def test_infeasible_is_never_taken_from_highs_without_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    program = hard_program(TextbookBackend())
    run = HighsModel.run

    def wrong_once(self: HighsModel, iteration_limit: int | None = None) -> str:
        monkeypatch.setattr(HighsModel, "run", run)
        return "infeasible"

    monkeypatch.setattr(HighsModel, "run", wrong_once)
    with pytest.raises(SolverFailed, match="does not prove it"):
        TextbookBackend().maximize(program, CONTROL)
    empty = replace(program, max_losses=0, cvar_limit=0.0)
    assert TextbookBackend().maximize(empty, CONTROL).status == "infeasible"


def test_any_answer_is_enough_where_any_answer_was_asked_for(backend: SolverBackend) -> None:
    indifferent = replace(hard_program(backend), objective=np.zeros(12))
    outcome = backend.maximize(indifferent, CONTROL.any_answer())
    assert outcome.status == "optimal"
    # HiGHS counts the root.
    assert outcome.nodes <= (1 if outcome.backend == "highs" else 0)
    assert outcome.work < hard_answer(backend).work / 3


def test_a_cancel_is_heard_in_the_middle_of_one_linear_program() -> None:
    program = random_program(np.random.Generator(np.random.Philox(6)), 20, 300, cap=0.2)
    uncut = HighsModel(*elastic_lp(program))
    assert uncut.run() == "optimal"
    asked = iter(range(10_000_000))
    meter = WorkMeter(SolveControl(interrupted=lambda: "cancelled" if next(asked) >= 20 else None))
    model = HighsModel(*elastic_lp(program))
    with pytest.raises(Cancelled):
        meter.solve(model)
    assert 0 < model.iterations < uncut.iterations / 2


def elastic_lp(program: ChanceProgram) -> tuple[np.ndarray, np.ndarray, np.ndarray, SparseRows]:
    """Least total shortfall: minimize sum y, with y_s >= 1 - multiple_s."""
    s, n = program.payoffs.shape
    rows = np.vstack([np.r_[np.ones(n), np.zeros(s)], np.hstack([program.payoffs, np.eye(s)])])
    lower, upper = np.ones(s + 1), np.r_[1.0, np.full(s, np.inf)]
    most = np.r_[program.polytope.upper, np.full(s, np.inf)]
    return np.r_[np.zeros(n), -np.ones(s)], np.zeros(n + s), most, dense_rows(rows, lower, upper)


def test_a_feasible_start_survives_even_a_limit_of_one_iteration(backend: SolverBackend) -> None:
    program, answer = hard_program(backend), hard_answer(backend)
    short = backend.maximize(program, SolveControl(work_limit=1), answer.x)
    assert short.status == "feasible"
    assert short.objective == answer.objective
    assert short.bound >= answer.objective
