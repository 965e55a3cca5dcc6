"""The command `cpack`: run a profile or a sweep of notebooks, see what stands, make pages and tables."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from cpack_lib.work.files import ROOT

ELSEWHERE = {  # commands of other rooms: their modules offer arguments(parser) and run(options) -> exit code
    "plan": ("cpack_lib.training.planning.plan", "what a run will cost in memory, hours and money"),
    "doctor": ("cpack_lib.evaluation.diagnosis.doctor", "tell what is wrong with a model or a run"),
    "fetch": ("cpack_lib.evaluation.tasks.fetch", "fetch the public sets of an evaluation suite"),
}


def main(arguments: Sequence[str] | None = None, home: Path = ROOT) -> int:
    """Carry out one command; exit code 2 where it cannot start, 1 where a notebook failed, 130 on Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments and arguments[0] in ELSEWHERE:
            return elsewhere(*arguments)
        carry_out(parser().parse_args(arguments), home)
    except ValueError as error:
        print(f"cpack: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"cpack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cpack: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def elsewhere(command: str, *arguments: str) -> int:
    """Carry out a command of another room, imported now; its exit code."""
    path, told = ELSEWHERE[command]
    module = importlib.import_module(path)
    own = argparse.ArgumentParser(prog=f"cpack {command}", description=told)
    module.arguments(own)
    return module.run(own.parse_args(arguments))


def carry_out(options: argparse.Namespace, home: Path) -> None:
    """Import only what the command needs, so that each starts at once."""
    match options.command:
        case "run":
            from cpack_lib.work.launch import run_profile

            run_profile(
                options.profile,
                only=options.only,
                start=options.start,
                last=options.last,
                dry_run=options.dry_run,
                fresh=options.fresh,
                home=home,
            )
        case "sweep" | "status" | "results":
            carry_out_of_sweep(options, home)
        case "report":
            from cpack_lib.work.pages.report import write_report

            print(write_report(options.run))
        case "gallery":
            from cpack_lib.work.pages.gallery import write_gallery

            print(write_gallery(options.run))
        case "tidy":
            from cpack_lib.work.notebooks import tidy

            for path in tidy(home):
                print(f"tidied {path.relative_to(home)}")


def carry_out_of_sweep(options: argparse.Namespace, home: Path) -> None:
    """The commands that take the name of a sweep; `status` may do without."""
    match options.command:
        case "sweep":
            from cpack_lib.work.sweeps.launching import launch_sweep

            launch_sweep(options.sweep, options.on, options.site, options.only, options.dry_run, home)
        case "status" if options.sweep:
            from cpack_lib.work.sweeps.state import print_sweep

            print_sweep(options.sweep, home)
        case "status":
            from cpack_lib.work.status import print_status

            print_status()
        case "results":
            from cpack_lib.work.sweeps.table import write_results

            print(write_results(options.sweep, home))


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="cpack", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the notebooks of a profile, reusing what is finished")
    run.add_argument("profile", help="a folder of params/, such as smoke or demo")
    run.add_argument("--only", metavar="NOTEBOOK", help="this notebook alone, by name or number")
    run.add_argument("--from", dest="start", metavar="NOTEBOOK", help="this notebook and those after it")
    run.add_argument("--to", dest="last", metavar="NOTEBOOK", help="this notebook and those before it")
    run.add_argument("--dry-run", action="store_true", help="check everything and print the plan")
    run.add_argument(
        "--fresh", action="store_true", help="move the old folders to runs/.aside and start anew"
    )
    add_sweeps(commands)
    for name, makes in (("report", "one page of results"), ("gallery", "HTML of its executed notebooks")):
        page = commands.add_parser(name, help=f"{makes}, from a run's folders")
        page.add_argument("run", nargs="?", default="demo", help="a folder of runs/ (default: demo)")
    commands.add_parser("tidy", help="empty notebooks of outputs; write their navigation and README's table")
    for name, (_, told) in ELSEWHERE.items():
        commands.add_parser(name, help=told)
    return top


def add_sweeps(commands: argparse._SubParsersAction) -> None:
    """The commands about sweeps, and `status`, which is about runs where it names none."""
    sweep = commands.add_parser("sweep", help="run every point of a sweep, here or as Slurm jobs")
    sweep.add_argument("sweep", metavar="NAME", help="a file of params/sweeps/, such as batch_size")
    sweep.add_argument("--on", choices=["local", "slurm"], default="local", help="where (default: local)")
    sweep.add_argument("--site", help="a file of params/sites/: what the cluster asks for")
    sweep.add_argument("--only", metavar="POINT", help="this point, or all that share NAME=VALUE,NAME=VALUE")
    sweep.add_argument("--dry-run", action="store_true", help="check everything and print every run")
    status = commands.add_parser("status", help="list the runs and their states, or tell how far a sweep is")
    status.add_argument("sweep", metavar="NAME", nargs="?", help="a sweep")
    results = commands.add_parser("results", help="one table of what is finished of a sweep")
    results.add_argument("sweep", metavar="NAME", help="a sweep")


if __name__ == "__main__":
    sys.exit(main())
