"""One solve: first answers, bounds that decide most scenarios, then branch and bound on the rest."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.solver.also_x import AlsoX
from core.solver.branch_and_bound.bounds import gains, tighten
from core.solver.branch_and_bound.branching import Branching
from core.solver.branch_and_bound.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL
from core.solver.branch_and_bound.incumbents import Incumbents
from core.solver.branch_and_bound.relaxation import EngineMeter, Relaxation
from core.solver.branch_and_bound.scenarios import scenarios_of, with_overrun
from core.solver.branch_and_bound.sweep import Sweep
from core.solver.branch_and_bound.tableau import drop_slack_rows
from core.solver.branch_and_bound.tree import CutPool, Decisions, Node, OpenNodes, load_rows
from core.solver.cut_lp import MARGIN
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolveProgress, SolveStatus
from core.solver.work import LimitReached

OVERRUN_TOLERANCE = 1e-6
HEURISTIC_EVERY = 20
DIVE_WIDTH = 0.1
"""A dive goes on while its bound is within this share of the way from the best open node's to the cut-off."""


class Search:
    """The best strictly checked answer, the proven bound, and the work spent on them. Costs are minus objectives.

    A program that asks only for a feasible point (an objective of zeros) becomes one of its own: by how much must the
    chance cuts be overstepped? So bounds and branching have something to go by.
    """

    def __init__(self, program: ChanceProgram, control: SolveControl, backend: str) -> None:
        self.program = program
        self.control = control
        self.backend = backend
        self.meter = EngineMeter(control)
        self.seeks_any = not program.objective.any()
        plain = scenarios_of(program, with_overrun=False)
        self.incumbents = Incumbents(program, plain, self.meter)
        self.scenarios, self.polytope, cost = plain, program.polytope, -program.objective
        if self.seeks_any:
            self.scenarios = scenarios_of(program, with_overrun=True)
            self.polytope = with_overrun(program.polytope, 2.0 * len(plain.offset))
            cost = np.append(np.zeros_like(cost), 1.0)
        self.relaxation = Relaxation(cost, self.polytope, self.scenarios, self.meter)
        self.branching = Branching(self.relaxation)
        self.bound = np.inf
        self.overtaken = -np.inf
        self.unresolved = np.inf
        self.nodes = 0
        self.open_nodes = OpenNodes()
        self.pool = CutPool(len(cost))
        self._gain = np.zeros(len(plain.offset))

    def run(self, start: FloatArray | None) -> SolveOutcome:
        try:
            proven_empty = self._search(start)
        except LimitReached:
            proven_empty = False
        return self._outcome(proven_empty)

    # -- the root

    def _search(self, start: FloatArray | None) -> bool:
        """True when the program is proven to have no feasible point."""
        if start is not None:
            self.incumbents.offer(start)
            if self._closed():
                return False
        decisions = Decisions.none(len(self._gain))
        if not self._relax(decisions):
            return True
        self._improve_bound(self.relaxation.bound)
        self._first_answers(start)
        if self._closed():
            return False
        if not self._decide_by_bounds(decisions):
            self._exhausted()
            return self.incumbents.x is None
        drop_slack_rows(self.relaxation.lp)
        basis = self.pool.save(self.relaxation.lp, self.relaxation.n_base, self.open_nodes)
        cost = self.relaxation.bound
        self.open_nodes.push(Node(cost, decisions, basis, -1, False, cost))
        return self._explore()

    def _first_answers(self, start: FloatArray | None) -> None:
        until = self.meter.share(0.2)
        root = self.relaxation.multiples.copy()
        if self._offer_relaxed() or self._closed():
            return
        self.incumbents.improve(root, until)
        self._report()
        if self._closed():
            return
        self.incumbents.exchange(until)
        self._report()
        if self.incumbents.x is None:
            self._also_x(until)

    def _also_x(self, until: int) -> None:
        upper = 0.0 if self.seeks_any else self.bound
        AlsoX(self.incumbents).run(upper, until)
        self.incumbents.exchange(until)
        self._report()

    def _offer_relaxed(self) -> bool:
        """The relaxation's own solution, where it is strictly feasible."""
        return self.incumbents.offer(self.relaxation.x[: len(self.program.objective)].copy())

    def _decide_by_bounds(self, decisions: Decisions) -> bool:
        """Reduced costs, then one linear program a scenario; False when nothing better is left."""
        saved = self.relaxation.snapshot()
        until = self.meter.share(0.3)
        for _ in range(4):
            changed = self._tighten(decisions)
            if changed < 0 or not self._relax(decisions):
                return False
            self._improve_bound(self.relaxation.bound)
            if changed == 0:
                break
        for _ in range(3):
            before = int(np.count_nonzero(decisions.must | decisions.lost)) + float(decisions.floor.sum())
            sweep = Sweep(self.relaxation, self.polytope, saved, self._cutoff(), self.program.max_losses)
            self.overtaken = max(self.overtaken, -self._cutoff())
            if not sweep.run(decisions, until):
                return False
            if not self._relax(decisions):
                return False
            self._improve_bound(self.relaxation.bound)
            self.incumbents.improve(self.relaxation.multiples.copy(), until)
            if self._closed() or self._tighten(decisions) < 0 or not self._relax(decisions):
                return False
            self._report()
            after = int(np.count_nonzero(decisions.must | decisions.lost)) + float(decisions.floor.sum())
            if after - before < 0.02 * len(self._gain) or self.meter.spent >= until:
                break
        return True

    # -- one node

    def _relax(self, decisions: Decisions, patience: int = 12) -> bool:
        """Solve the relaxation with these decisions; False when it is proven to hold nothing better."""
        gains(decisions.must, decisions.lost, decisions.floor, self._gain)
        verdict = self.relaxation.solve(
            decisions.must,
            gain=self._gain,
            budget=self._budget(decisions),
            cutoff=self._cutoff(),
            patience=patience,
        )
        if verdict == CUT_OFF:
            self.overtaken = max(self.overtaken, -self._cutoff())
        elif verdict not in (OPTIMAL, INFEASIBLE):
            raise SolverFailed("branch and bound: a linear program was lost to rounding")
        return verdict == OPTIMAL

    def _budget(self, decisions: Decisions) -> float:
        return float(self.program.max_losses - decisions.lost_count)

    def _tighten(self, decisions: Decisions) -> int:
        """How many scenarios changed; -1 when more are lost than may be."""
        cutoff = self._cutoff()
        if not np.isfinite(cutoff):
            return 0
        self.overtaken = max(self.overtaken, -cutoff)
        changed = tighten(
            self.relaxation.lp,
            self.scenarios,
            self.relaxation.multiples,
            cutoff,
            decisions.floor,
            decisions.must,
            decisions.lost,
        )
        left = self.program.max_losses - decisions.lost_count
        if left == 0:
            decisions.must |= ~decisions.lost
        return -1 if left < 0 else int(changed)

    def _process(self, decisions: Decisions) -> bool:
        """Relax and tighten; False when the node is pruned."""
        if self._budget(decisions) < 0.0:
            return False
        if self._budget(decisions) == 0.0:
            decisions.must |= ~decisions.lost
        if not self._relax(decisions):
            return False
        for _ in range(2):
            changed = self._tighten(decisions)
            if changed < 0:
                return False
            if changed < 2:
                break
            if not self._relax(decisions):
                return False
        return True

    # -- the tree

    def _explore(self) -> bool:
        node: Node | None = None
        while node is not None or len(self.open_nodes):
            loaded = node is not None
            if node is None:
                node = self.open_nodes.pop()
            if node.cost > self._cutoff():
                self.overtaken = max(self.overtaken, -self._cutoff())
                node = None
                continue
            self._improve_bound(min(node.cost, self.open_nodes.least_cost, self.unresolved))
            self.nodes += 1
            if self.nodes % 16 == 0:
                self._report()
            node = self._visit(node, loaded)
            if self._closed():
                return False
        self._exhausted()
        return self.incumbents.x is None and self.unresolved == np.inf

    def _visit(self, node: Node, loaded: bool) -> Node | None:
        """Process the node and branch; the child to dive into, if any."""
        decisions = node.own_decisions()
        if not loaded:
            self._load(node)
        if not self._process(decisions):
            return None
        while True:
            self.branching.learn(node, self.relaxation.bound)
            node.cost = max(node.cost, self.relaxation.bound)
            if self._is_leaf(decisions):
                if self._settle_leaf(decisions):
                    return None
            elif self.nodes % HEURISTIC_EVERY == 1:
                self.incumbents.improve(self._likely_losses(decisions), self.meter.limit)
                if node.cost > self._cutoff():
                    self.overtaken = max(self.overtaken, -self._cutoff())
                    return None
            choice = self.branching.choose(decisions, self._gain, self._budget(decisions), self._cutoff())
            self.meter.charge(self.relaxation.lp)
            if choice.pruned_any:
                self.overtaken = max(self.overtaken, -self._cutoff()) if np.isfinite(self._cutoff()) else self.overtaken
            if choice.scenario < 0:
                self.unresolved = min(self.unresolved, node.cost)
                return None
            if choice.decided is None:
                return self._branch(node, decisions, choice.scenario, choice.kept_cost, choice.lost_cost)
            if choice.decided == "neither":
                return None
            (decisions.must if choice.decided == "keep" else decisions.lost)[choice.scenario] = True
            if not self._process(decisions):
                return None

    def _load(self, node: Node) -> None:
        lp, basis = self.relaxation.lp, node.basis
        self.relaxation.make_room(self.relaxation.n_base + len(basis.kind))
        lp = self.relaxation.lp
        load_rows(
            lp,
            self.relaxation.n_base,
            self.scenarios,
            basis.kind,
            basis.tag,
            self.pool.rows,
            self.pool.low,
            basis.nonbasic,
            basis.at_upper,
        )

    def _is_leaf(self, decisions: Decisions) -> bool:
        """No more scenarios are below the threshold than may be."""
        below = self._gain > 0.0
        below &= self.relaxation.multiples < self.branching.threshold
        return int(np.count_nonzero(below)) <= self._budget(decisions)

    def _settle_leaf(self, decisions: Decisions) -> bool:
        """Whether an answer was found that closes this leaf."""
        if not self._relax(decisions, patience=10_000):
            return True
        if not self._is_leaf(decisions):
            return False
        portfolio = self._likely_losses(decisions)
        self._offer_relaxed()
        if self.relaxation.bound <= self._cutoff():
            self.incumbents.settle(portfolio, MARGIN)
        if self.relaxation.bound <= self._cutoff():
            self.incumbents.settle(portfolio, 0.0)
        if self._closed():
            return True
        settled = self.relaxation.bound > self._cutoff() or (self.seeks_any and self.incumbents.x is not None)
        if settled:
            self.overtaken = max(self.overtaken, -self._cutoff())
        return settled

    def _likely_losses(self, decisions: Decisions) -> FloatArray:
        """The multiples, with what is decided out of the question moved to the end of the order."""
        portfolio = self.relaxation.multiples.copy()
        portfolio[decisions.must] += 1e9
        portfolio[decisions.lost] -= 1e9
        return portfolio

    def _branch(
        self, node: Node, decisions: Decisions, scenario: int, kept_cost: float, lost_cost: float
    ) -> Node | None:
        drop_slack_rows(self.relaxation.lp)
        basis = self.pool.save(self.relaxation.lp, self.relaxation.n_base, self.open_nodes)
        here = node.cost
        shortfall, unused = self.branching.taken(scenario, self._gain)
        children = [
            Node(max(here, kept_cost), decisions, basis, scenario, True, here, shortfall),
            Node(max(here, lost_cost), decisions, basis, scenario, False, here, unused),
        ]
        first, second = sorted(children, key=lambda child: child.cost)
        self.open_nodes.push(second)
        least = min(self.open_nodes.least_cost, first.cost)
        cutoff = self._cutoff()
        width = DIVE_WIDTH * (cutoff - least) if np.isfinite(cutoff) else np.inf
        if first.cost <= least + width:
            return first
        self.open_nodes.push(first)
        return None

    # -- what is known

    def _cutoff(self) -> float:
        """Costs above this are of no interest."""
        if self.seeks_any:
            return OVERRUN_TOLERANCE * max(1.0, float(self.program.max_losses))
        if self.incumbents.x is None:
            return np.inf
        return -(self.incumbents.objective + self._room())

    def _room(self) -> float:
        return max(self.control.relative_gap * abs(self.incumbents.objective), self.control.absolute_gap)

    def _improve_bound(self, cost: float) -> None:
        """From a lower bound of the cost of everything that is open."""
        if self.seeks_any:
            self.bound = 0.0
        else:
            self.bound = min(self.bound, max(-cost, self.overtaken))

    def _exhausted(self) -> None:
        """Nothing is open: what is left is what cut-offs took away, and what could not be settled."""
        self._improve_bound(min(-max(self.incumbents.objective, self.overtaken), self.unresolved))

    def _closed(self) -> bool:
        if self.incumbents.x is None:
            return False
        return self.seeks_any or self.bound - self.incumbents.objective <= self._room() * (1.0 + 1e-9)

    def _report(self) -> None:
        found = self.incumbents.x is not None
        objective = self.incumbents.objective if found else None
        self.control.progress(SolveProgress(objective, self.bound, self.nodes, self.meter.spent))

    def _status(self, proven_empty: bool) -> SolveStatus:
        if self.incumbents.x is not None:
            return "optimal" if self._closed() else "feasible"
        return "infeasible" if proven_empty else "unknown"

    def _outcome(self, proven_empty: bool) -> SolveOutcome:
        found = self.incumbents.x is not None
        return SolveOutcome(
            status=self._status(proven_empty),
            x=self.incumbents.x,
            objective=self.incumbents.objective if found else None,
            bound=max(self.bound, self.incumbents.objective),
            nodes=self.nodes,
            work=self.meter.spent,
            reproducible=self.meter.reproducible,
            backend=self.backend,
        )
