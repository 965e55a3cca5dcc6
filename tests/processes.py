"""Whether processes that a test started, or that these started, have ended."""

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process still runs, waiting for its parent's eyes not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_soon(pid: int, seconds: float = 20) -> bool:
    """Whether a process ends within some seconds."""
    waited = time.monotonic()
    while alive(pid):
        if time.monotonic() - waited > seconds:
            return False
        time.sleep(0.1)
    return True
