"""One writer per run folder: an advisory lock on run.lock that the system drops when its process dies."""

import fcntl
import os
import time
from pathlib import Path
from typing import TextIO

PATIENCE = 1.0  # seconds; whoever only asks whether a lock is held, holds it for an instant
held: dict[Path, TextIO] = {}  # this process's locks, so that its kernel may open a run again


def take(folder: Path) -> bool:
    """Lock the folder for this process, True if newly; ValueError names the process that has it."""
    if folder in held:
        return False
    file = (folder / "run.lock").open("a+")
    if not attempt(file, PATIENCE):
        file.seek(0)
        owner = file.read().strip() or "another process"
        file.close()
        raise ValueError(f"{folder} is being written by {owner}; wait for it, or choose another run_name")
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}")
    file.flush()
    held[folder] = file
    return True


def release(folder: Path) -> None:
    """Give the lock back; nothing where this process has none."""
    if file := held.pop(folder, None):
        file.close()


def is_held(folder: Path) -> bool:
    """Whether some process, this one included, is writing the folder."""
    if folder in held:
        return True
    try:
        file = (folder / "run.lock").open("a+")
    except FileNotFoundError:
        return False
    with file:
        return not attempt(file, 0.0)


def attempt(file: TextIO, patience: float) -> bool:
    """Try for an exclusive lock on an open file for `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
