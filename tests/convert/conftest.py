"""One thread, as in `tests/cli`: more only wait for each other in networks as small as most here."""

from tests.cli.conftest import one_thread

__all__ = ["one_thread"]
