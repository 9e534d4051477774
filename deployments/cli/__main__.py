"""`python -m deployments.cli`: what the `vcfolio` script does, for processes that start one another."""

import sys

from deployments.cli.main import run

sys.argv[0] = "vcfolio"
sys.exit(run())
