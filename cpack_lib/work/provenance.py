"""Where a run was made: commit, versions and machine, without importing the packages it names."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cpack_lib.work.files import ROOT

PACKAGES = [
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "mteb",
    "datasets",
    "faiss-cpu",
    "numpy",
    "polars",
    "pyarrow",
    "papermill",
]


def here() -> dict[str, Any]:
    """`commit`, `dirty`, `versions` and `device` for run.json."""
    return {**commit(), "versions": versions(), "device": device()}


def commit() -> dict[str, Any]:
    """The commit of the repository and whether the tree differs from it; None for both outside git."""
    head = answer("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changed = answer("git", "-C", str(ROOT), "status", "--porcelain")
    return {"commit": head or None, "dirty": bool(changed) if head else None}


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def device() -> dict[str, Any]:
    """Cores this process may use, memory in GiB, and the names of the GPUs."""
    gpus = answer("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": usable_cores(), "memory_gib": round(memory, 1), "gpus": gpus}


def usable_cores() -> int:
    """Cores this process may run on; of the machine, where the system cannot say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def answer(*command: str) -> str:
    """What a command prints, or nothing where it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return ""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if said.returncode else said.stdout.strip()
