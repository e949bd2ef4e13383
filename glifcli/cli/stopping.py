"""Ctrl-C and SIGTERM as a request to stop."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from glifcli.cli.output import note


@contextlib.contextmanager
def stop_requests(quiet: bool) -> Iterator[Callable[[], bool]]:
    """Within it, the first signal is kept and told by the function it gives; a second one interrupts at once."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # The signal may come in the middle of another line to stderr, which Python does not write two of at once.
        with contextlib.suppress(RuntimeError):
            note("finishing the step, then saving; once more to stop at once", quiet=quiet)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
