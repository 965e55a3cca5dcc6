"""When to stop: at a scheduler's request, or when the time is over."""

import math
import signal
import threading
import time


class Stop:
    """Whether to stop: asked for by SIGTERM or SIGUSR1 (a scheduler's warning), or the time is over."""

    def __init__(self, minutes: float):
        self.signalled, self.end = False, time.monotonic() + 60 * minutes if minutes else math.inf
        if threading.current_thread() is threading.main_thread():
            for request in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(request, self.note)

    def note(self, *_: object) -> None:
        """Remember the request until the step is done."""
        self.signalled = True

    def asked(self) -> bool:
        """Whether to stop after this step."""
        return self.signalled or time.monotonic() > self.end
