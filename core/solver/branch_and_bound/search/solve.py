"""One solve: first answers, bounds that decide most scenarios, then branch and bound on the rest."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.cuts.relaxation import EngineMeter, Relaxation
from core.solver.branch_and_bound.cuts.scenarios import scenarios_of, with_overrun
from core.solver.branch_and_bound.search.also_x import AlsoX
from core.solver.branch_and_bound.search.exploration import Exploration
from core.solver.branch_and_bound.search.incumbents import Incumbents
from core.solver.branch_and_bound.search.node_program import NodeProgram
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.feasibility import multiples
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome
from core.solver.work import LimitReached

REDUCED_COST_ROUNDS = 4
SWEEPS = 3
WORTHWHILE_SWEEP = 0.02
"""Another sweep follows one that decided (or raised floors by) this much per scenario."""


class Search:
    """A program that asks only for a feasible point (an objective of zeros) becomes one of its own: by how much must
    the chance cuts be overstepped? So bounds and branching have something to go by."""

    def __init__(self, program: ChanceProgram, control: SolveControl) -> None:
        self.meter = EngineMeter(control)
        plain = scenarios_of(program, with_overrun=False)
        self.incumbents = Incumbents(program, plain, self.meter)
        self.known = SearchState(program, control, self.meter, self.incumbents)
        polytope, scenarios, cost = program.polytope, plain, -program.objective
        if self.known.seeks_any:
            scenarios = scenarios_of(program, with_overrun=True)
            polytope = with_overrun(program.polytope, 2.0 * len(plain.offset))
            cost = np.append(np.zeros_like(cost), 1.0)
        self.relaxation = Relaxation(cost, polytope, scenarios, self.meter)
        self.node = NodeProgram(self.relaxation, self.known)

    def run(self, backend: str, start: FloatArray | None) -> SolveOutcome:
        try:
            exhausted = self._search(start)
        except LimitReached:
            exhausted = False
        return self.known.outcome(backend, proven_empty=exhausted and self.incumbents.x is None)

    def _search(self, start: FloatArray | None) -> bool:
        """True when nothing but what was found is left."""
        if start is not None:
            self.incumbents.offer(start)
            if self.known.is_closed():
                return False
        decisions = Decisions.none(len(self.node.gain))
        if not self.node.relax(decisions):
            self.known.exhausted()
            return True
        self.known.improve_bound(self.node.cost)
        if not self._first_answers(decisions):
            self.known.exhausted()
            return True
        if self.known.is_closed():
            return False
        if not self._decide_by_bounds(decisions):
            self.known.exhausted()
            return True
        return not self.known.is_closed() and Exploration(self.node, self.known).run(decisions)

    def _first_answers(self, decisions: Decisions) -> bool:
        """False when bounds show, before long searches, that there is no answer."""
        until = self.meter.share(0.2)
        if self.incumbents.offer(self.node.relaxed_point()) or self.known.is_closed():
            return True
        self.incumbents.improve(self.relaxation.multiples.copy(), until)
        self.known.report()
        if self.known.is_closed():
            return True
        self._climb(until)
        if self.incumbents.x is None:
            swept = self.known.seeks_any or self.node.sweep.run(decisions, self.known.cutoff, self.meter.share(0.1))
            if not (swept and self.node.relax(decisions)):
                return False
            AlsoX(self.incumbents).run(self.known.bound, until)
            self._climb(until)
        self.known.report()
        return True

    def _climb(self, until: int) -> None:
        """From the best answer, if there is one."""
        if self.incumbents.x is not None:
            self.incumbents.climb(self.incumbents.worst(multiples(self.incumbents.program, self.incumbents.x)), until)

    def _decide_by_bounds(self, decisions: Decisions) -> bool:
        """Reduced costs, then one linear program a scenario; False when nothing better is left."""
        until = self.meter.share(0.3)
        for _ in range(REDUCED_COST_ROUNDS):
            changed = self.node.tighten(decisions)
            if changed < 0 or not self.node.relax(decisions):
                return False
            self.known.improve_bound(self.node.cost)
            if changed == 0:
                break
        for _ in range(SWEEPS):
            before = _decided(decisions)
            self.known.overtake()
            if not (self.node.sweep.run(decisions, self.known.cutoff, until) and self.node.relax(decisions)):
                return False
            self.known.improve_bound(self.node.cost)
            self.incumbents.improve(self.relaxation.multiples.copy(), until)
            self.known.report()
            if self.known.is_closed():
                return True
            if self.node.tighten(decisions) < 0 or not self.node.relax(decisions):
                return False
            if _decided(decisions) - before < WORTHWHILE_SWEEP * len(decisions.must) or self.meter.spent >= until:
                break
        return True


def _decided(decisions: Decisions) -> float:
    return float(np.count_nonzero(decisions.must | decisions.lost) + decisions.floor.sum())
