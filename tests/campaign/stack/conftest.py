"""The running stack, as the shorter tests of it have it."""

from tests.system.stack.conftest import ask, made_whole, nothing_left, stack  # noqa: F401
