"""One solve: first answers, bounds that decide most scenarios, then branch and bound on the rest."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.cuts.relaxation import MultiplicationMeter, Relaxation
from core.solver.branch_and_bound.cuts.scenarios import scenarios_of, with_phase1_slack
from core.solver.branch_and_bound.search.also_x import AlsoX
from core.solver.branch_and_bound.search.exploration import Exploration
from core.solver.branch_and_bound.search.incumbents import Incumbents
from core.solver.branch_and_bound.search.node_program import NodeProgram
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.feasibility import multiples
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome
from core.solver.work import LimitReached

ROOT_FIXING_ROUNDS = 4
OBBT_PASSES = 3
WORTHWHILE_OBBT = 0.02
"""Another pass of OBBT follows one that decided (or raised floors by) this much per scenario."""


class Search:
    """A program that asks only for a feasible point (an objective of zeros) becomes a phase-1 program: the least slack
    with which its chance cuts can be met. So bounds and branching have an objective to go by."""

    def __init__(self, program: ChanceProgram, control: SolveControl) -> None:
        self.meter = MultiplicationMeter(control)
        plain = scenarios_of(program, with_phase1_slack=False)
        self.incumbents = Incumbents(program, plain, self.meter)
        self.state = SearchState(program, control, self.meter, self.incumbents)
        polytope, scenarios, cost = program.polytope, plain, -program.objective
        if self.state.feasibility_only:
            scenarios = scenarios_of(program, with_phase1_slack=True)
            polytope = with_phase1_slack(program.polytope, 2.0 * len(plain.offset))
            cost = np.append(np.zeros_like(cost), 1.0)
        self.relaxation = Relaxation(cost, polytope, scenarios, self.meter)
        self.node = NodeProgram(self.relaxation, self.state)

    def run(self, backend: str, start: FloatArray | None) -> SolveOutcome:
        try:
            exhausted = self._search(start)
        except LimitReached:
            exhausted = False
        return self.state.outcome(backend, proven_empty=exhausted and self.incumbents.x is None)

    def _search(self, start: FloatArray | None) -> bool:
        """True when nothing but what was found is left."""
        if start is not None:
            self.incumbents.offer(start)
            if self.state.is_closed():
                return False
        decisions = Decisions.none(len(self.node.gain))
        if not self.node.relax(decisions):
            self.state.exhausted()
            return True
        self.state.improve_bound(self.node.cost)
        if not self._first_answers(decisions):
            self.state.exhausted()
            return True
        if self.state.is_closed():
            return False
        if not self._decide_by_bounds(decisions):
            self.state.exhausted()
            return True
        return not self.state.is_closed() and Exploration(self.node, self.state).run(decisions)

    def _first_answers(self, decisions: Decisions) -> bool:
        """False when bounds prove, before long searches, that there is no answer."""
        until = self.meter.share(0.2)
        if self.incumbents.offer(self.node.relaxed_point()) or self.state.is_closed():
            return True
        self.incumbents.improve(self.relaxation.multiples.copy(), until)
        self.state.report()
        if self.state.is_closed():
            return True
        self._local_search(until)
        if self.incumbents.x is None:
            left = self.state.feasibility_only or self.node.obbt.run(
                decisions, self.state.cutoff, self.meter.share(0.1)
            )
            if not (left and self.node.relax(decisions)):
                return False
            AlsoX(self.incumbents).run(self.state.bound, until)
            self._local_search(until)
        self.state.report()
        return True

    def _local_search(self, until: int) -> None:
        """Local search from the incumbent, if there is one."""
        if self.incumbents.x is not None:
            self.incumbents.local_search(
                self.incumbents.worst(multiples(self.incumbents.program, self.incumbents.x)), until
            )

    def _decide_by_bounds(self, decisions: Decisions) -> bool:
        """Reduced costs, then one linear program a scenario; False when nothing better is left."""
        until = self.meter.share(0.3)
        for _ in range(ROOT_FIXING_ROUNDS):
            changed = self.node.reduced_cost_fixing(decisions)
            if changed < 0 or not self.node.relax(decisions):
                return False
            self.state.improve_bound(self.node.cost)
            if changed == 0:
                break
        for _ in range(OBBT_PASSES):
            before = _amount_decided(decisions)
            self.state.prune_by_cutoff()
            if not (self.node.obbt.run(decisions, self.state.cutoff, until) and self.node.relax(decisions)):
                return False
            self.state.improve_bound(self.node.cost)
            self.incumbents.improve(self.relaxation.multiples.copy(), until)
            self.state.report()
            if self.state.is_closed():
                return True
            if self.node.reduced_cost_fixing(decisions) < 0 or not self.node.relax(decisions):
                return False
            if (
                _amount_decided(decisions) - before < WORTHWHILE_OBBT * len(decisions.required)
                or self.meter.spent >= until
            ):
                break
        return True


def _amount_decided(decisions: Decisions) -> float:
    return float(np.count_nonzero(decisions.required | decisions.lost) + decisions.floor.sum())
