"""Portfolios of venture deals, in a notebook or a program: no database, no server, no fund id needed.

import vcfolio
result = vcfolio.optimize("fund.json")
print(result.verdict.sentence)
print(result.allocation)
"""

from core.errors import BadInput, Cancelled, Infeasible, NoAnswerWithinLimit, VcfolioError
from core.request import OptimizationRequest as Request
from core.result.model import Verdict, VerdictLimit
from vcfolio.calibrations import NIL_FUND, Calibration, shipped_calibrations
from vcfolio.portfolios import optimize, prepare, simulate, validate
from vcfolio.results import Portfolio, Result
from vcfolio.version import __version__

__all__ = [
    "NIL_FUND",
    "BadInput",
    "Calibration",
    "Cancelled",
    "Infeasible",
    "NoAnswerWithinLimit",
    "Portfolio",
    "Request",
    "Result",
    "VcfolioError",
    "Verdict",
    "VerdictLimit",
    "__version__",
    "optimize",
    "prepare",
    "shipped_calibrations",
    "simulate",
    "validate",
]
