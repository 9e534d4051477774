"""How long a cancel takes: from the moment at which a solve would be told to stop until it raises `Cancelled`.

    python -m benchmarks.cancel                    48 x 400 and 48 x 1000
    python -m benchmarks.cancel --sizes 200x2000   other sizes

A solve checks periodically whether it must stop; the time between checks is the delay. Two runs of the same solve,
which check in the same order: the first finds the longest processor time between two checks in each phase, the second
is cancelled right after the first of those two, and the delay is measured up to the exception. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import FrameType

from benchmarks.benchmark_case import make_case
from benchmarks.instances import Family, make_instance
from benchmarks.markdown import table
from core.errors import Cancelled
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.relax import relax_minimally
from core.portfolio.tie_break import deviations, tie_break_program
from core.request import parse_request
from core.request.normalize import normalize
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl
from core.warmup import warm_up
from db.reference_calibrations import reference_calibration

SIZES = ["48x400", "48x1000"]
INSTANCES: list[tuple[Family, float]] = [("single", 0.5), ("averaged", 0.5), ("averaged", 0.3)]
RELAXED_LOSS_SHARE, EPSILON, WORK_LIMIT = 0.1, 1e-3, 20_000

Solve = Callable[[SolveControl], object]

PHASES = {
    "also_x.py": "ALSO-X",
    "exploration.py": "tree",
    "sweep.py": "root bounds",
    "incumbents.py": "first answers",
}
"""By the module that is at work when a solve asks; of several on the stack the first of these."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Of one phase of one solve. worst, at_median: seconds of processor time between two of so many questions.

    wall, processor: seconds from a cancel at the worst moment until the exception.
    """

    solve: str
    phase: str
    questions: int
    at_median: float
    worst: float
    wall: float
    processor: float


class Listener:
    """Notes when it is asked, and by which phase; after question `last` (-1: never) it says that all is cancelled."""

    def __init__(self, last: int = -1) -> None:
        self.last = last
        self.times = [time.process_time()]
        self.phases = ["root relaxation"]
        self.cancelled_wall = self.cancelled_processor = 0.0

    def asked(self) -> Interruption | None:
        if 0 <= self.last < len(self.times):
            return "cancelled"
        self.times.append(time.process_time())
        if self.last < 0:
            self.phases.append(_phase())
        if len(self.times) == self.last + 1:
            self.cancelled_wall, self.cancelled_processor = time.perf_counter(), time.process_time()
        return None


def _phase() -> str:
    on_stack = set()
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        on_stack.add(frame.f_code.co_filename.rpartition("/")[2])
        on_stack.add(frame.f_code.co_name)
        frame = frame.f_back
    return next((phase for module, phase in PHASES.items() if module in on_stack), "root relaxation")


def delays(name: str, solve: Solve, *, one_phase: str | None) -> Iterator[Delay]:
    """Of each phase; of all of them together, called `one_phase`, where that is named."""
    heard = Listener()
    solve(SolveControl(work_limit=WORK_LIMIT, interrupted=heard.asked))
    waits: dict[str, list[tuple[float, int]]] = {}
    # Between question i - 1 and question i the phase of question i was at work.
    for i in range(1, len(heard.times)):
        phase = one_phase or heard.phases[i]
        waits.setdefault(phase, []).append((heard.times[i] - heard.times[i - 1], i - 1))
    for phase, found in waits.items():
        worst, question = max(found)
        wall, processor = cancelled_after(solve, question)
        yield Delay(name, phase, len(found), median(wait for wait, _ in found), worst, wall, processor)


def cancelled_after(solve: Solve, question: int) -> tuple[float, float]:
    """Seconds, wall and processor, from right after that question until `Cancelled` is raised."""
    listener = Listener(question)
    began_wall, began_processor = time.perf_counter(), time.process_time()
    try:
        solve(SolveControl(work_limit=WORK_LIMIT, interrupted=listener.asked))
    except Cancelled:
        wall, processor = time.perf_counter(), time.process_time()
        if question == 0:
            return wall - began_wall, processor - began_processor
        return wall - listener.cancelled_wall, processor - listener.cancelled_processor
    raise AssertionError("the solve ended without having heard that it was cancelled")


def measure(size: str) -> Iterator[Delay]:
    n_buckets, n_scenarios = (int(part) for part in size.split("x"))
    backend = make_backend("branch-and-bound")
    for family, cap in INSTANCES:
        instance = make_instance(family, n_buckets, n_scenarios, 1, cap)
        program = instance.program
        yield from delays(instance.name, lambda c, p=program: backend.maximize(p, c), one_phase=None)  # type: ignore[misc]
        answer = backend.maximize(program, SolveControl(work_limit=WORK_LIMIT))
        if answer.x is not None and answer.objective is not None:
            second, start = tie_break_program(program, answer.objective - EPSILON), deviations(answer.x)
            solve = lambda c, p=second, x=start: backend.maximize(p, c, x)  # noqa: E731
            yield from delays(instance.name, solve, one_phase="tie-break")
    yield from delays(f"model {size}", relaxation(n_buckets, n_scenarios), one_phase="relaxation")


def relaxation(n_buckets: int, n_scenarios: int) -> Solve:
    case = make_case("cancel", RELAXED_LOSS_SHARE, n_buckets, n_scenarios)
    config = normalize(parse_request(case.document), reference_calibration()).config
    problem = PortfolioProblem.of(config, case.matrix)
    limits = replace(Limits.of(config, n_scenarios), min_expected_winners=1e3)
    backend = make_backend("branch-and-bound")
    return lambda control: relax_minimally(problem, limits, backend, control)


def report(measured: Sequence[Delay]) -> str:
    head = [
        "solve",
        "phase",
        "questions",
        "between two: median, s",
        "worst, s",
        "cancelled then: processor, s",
        "wall, s",
    ]
    rows = [
        [
            each.solve,
            each.phase,
            f"{each.questions:,}",
            f"{each.at_median:.4f}",
            f"{each.worst:.3f}",
            f"{each.processor:.3f}",
            f"{each.wall:.3f}",
        ]
        for each in measured
    ]
    worst = max(measured, key=lambda each: max(each.worst, each.processor))
    summary = (
        f"Longest: {max(worst.worst, worst.processor):.2f} s of processor time ({worst.solve}, {worst.phase}); "
        f"of wall clock {max(each.wall for each in measured):.2f} s."
    )
    return f"{table(head, rows)}\n\n{summary}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="BxS")
    arguments = parser.parse_args()
    warm_up()
    print(report([delay for size in arguments.sizes for delay in measure(size)]))


if __name__ == "__main__":
    main()
