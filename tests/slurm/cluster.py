"""A real Slurm of two nodes on one machine, in a folder of its own, for as long as a test needs it.

Debian's packages, as root: `apt-get install -y --no-install-recommends slurm-wlm munge` (16 s); no systemd,
no database, nothing outside the folder. Without them, or without root, the tests here are skipped.

Each node claims four cores (config_overrides), so that a job fills one. The partition `urgent` preempts
`main`, whose jobs are queued again; `cred_expire` is what these wait for, two minutes by default.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

PROGRAMS = (
    "munged",
    "runuser",
    "sbatch",
    "scancel",
    "scontrol",
    "sinfo",
    "slurmctld",
    "slurmd",
    "squeue",
    "srun",
)
NODES = ("first", "second")
CONF = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
MinJobAge=3600
KillWait=5
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=4000
NodeName=first NodeHostname={host} NodeAddr=127.0.0.1 Port={first}
NodeName=second NodeHostname={host} NodeAddr=127.0.0.1 Port={second}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9
"""


def why_not() -> str:
    """Why there can be no Slurm here; empty where there can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} here: apt-get install slurm-wlm munge, as root on Debian"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root"


class Cluster:
    """munged, slurmctld and two slurmd, from `start` to `stop`; SLURM_CONF has to name `conf` by then."""

    def __init__(self, folder: Path):
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.daemons: list[subprocess.Popen] = []

    def start(self) -> None:
        """Start the daemons and wait until the nodes take jobs; RuntimeError with the logs if they do not."""
        for part in ("state", "munge"):
            (self.folder / part).mkdir()
        self.folder.chmod(0o755)
        shutil.chown(self.folder / "munge", "munge", "munge")
        host = os.uname().nodename.partition(".")[0]
        ports = dict(zip(("port", *NODES), free_ports(3), strict=True))
        self.conf.write_text(CONF.format(folder=self.folder, host=host, **ports))
        place = self.folder / "munge"
        files = [f"--{name}-file={place}/{name}" for name in ("pid", "log", "seed")]
        munged = ["munged", "--foreground", "--key-file=/etc/munge/munge.key", f"--socket={place}/socket"]
        self.run("runuser", "-u", "munge", "--", *munged, *files)
        wait_for((place / "socket").exists, 5)
        self.run("slurmctld", "-D", "-f", str(self.conf))
        for node in NODES:
            self.run("slurmd", "-D", "-f", str(self.conf), "-N", node)
        if not wait_for(lambda: said("sinfo", "-h", "-p", "main", "-o", "%t %D") == f"idle {len(NODES)}", 60):
            raise RuntimeError(f"Slurm did not start:\n{(self.folder / 'daemons.log').read_text()[-4000:]}")

    def run(self, *command: str) -> None:
        """Start one daemon."""
        with (self.folder / "daemons.log").open("ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            self.daemons.append(subprocess.Popen(command, **options))

    def stop(self) -> None:
        """Cancel every job, and end the daemons."""
        said("scancel", "--user=root")
        wait_for(lambda: not said("squeue", "--noheader"), 15)
        for daemon in reversed(self.daemons):
            with suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in taken]


def said(*command: str) -> str:
    """What a command of Slurm prints, nothing where it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def wait_for(true: Callable[[], object], seconds: float) -> bool:
    """Whether something becomes true within some seconds."""
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.2)
    return bool(found)
