"""Start a sweep: plan it, then run it here or hand it to Slurm."""

from pathlib import Path

from cpack_lib.work.files import ROOT
from cpack_lib.work.sweeps import slurm
from cpack_lib.work.sweeps.describe import print_plan
from cpack_lib.work.sweeps.locally import run_locally
from cpack_lib.work.sweeps.planning import plan_sweep
from cpack_lib.work.sweeps.sites import read_site


def launch_sweep(
    name: str,
    on: str = "local",
    site: str | None = None,
    only: str | None = None,
    dry_run: bool = False,
    home: Path = ROOT,
) -> None:
    """Make every point of a sweep, or those that `only` names; with `dry_run` tell what would be done.

    `on` is local or slurm, which needs a `site`. ValueError before anything starts where a value cannot be;
    RuntimeError in the end where a run could not be made, after all that do not depend on it.
    """
    where = read_site(site, home) if on == "slurm" else None
    plan = plan_sweep(name, only, home)
    if dry_run:
        print_plan(plan)
        if where is not None:
            slurm.print_jobs(plan, where)
    elif where is not None:
        slurm.submit(plan, where)
    else:
        run_locally(plan)
