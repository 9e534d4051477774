"""The fixtures of the embedded server."""

from tests.system.embedded.conftest import embedded, open_directory, user  # noqa: F401
