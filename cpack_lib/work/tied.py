"""A process that does not outlive its parent: `python -m cpack_lib.work.tied PARENT MODULE ARGUMENTS`.

In the place of MODULE, `--program` opens any other command line. A kernel that is killed cannot stop what it
started; on Linux the system does it for us. Without this, a killed training would go on writing into the
folder that its successor has opened.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def tie_to(parent: int, request: signal.Signals) -> None:
    """Ask the system for a signal when the process `parent`, which must have started this one, dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, request)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(f"process {parent}, which started this one, is gone")


if __name__ == "__main__":
    parent, module, *sys.argv[1:] = sys.argv[1:]
    tie_to(int(parent), signal.SIGTERM)  # torchrun passes it on to its workers
    if module == "--program":
        os.execvp(sys.argv[1], sys.argv[1:])  # the tie outlasts it
    runpy.run_module(module, run_name="__main__", alter_sys=True)
