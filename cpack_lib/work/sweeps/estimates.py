"""What a run will cost, from runs of the same notebook that are finished."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cpack_lib.work.files import runs_folder
from cpack_lib.work.runs import read_manifest, read_record


@dataclass(frozen=True)
class Cost:
    """Minutes and GiB of a run; None where nobody can know."""

    minutes: float | None = None
    gib: float | None = None

    def __str__(self) -> str:
        if self.minutes is None or self.gib is None:
            return "unknown"
        return f"{self.minutes:.1f} min, {self.gib:.1f} GiB"


class Costs:
    """What finished runs took, read from their folders once.

    Of the runs of a notebook the one with the most equal parameters tells. Its minutes are scaled by steps
    times rows of a step where these differ; its memory is not: chunks keep it from growing with either.
    """

    def __init__(self, notebooks: Iterable[str]):
        self.known: dict[str, list[tuple[dict[str, Any], Cost]]] = {}
        for notebook in notebooks:
            self.known[notebook] = []
            for path in sorted(runs_folder().glob(f"*/{notebook}/manifest.json")):
                try:
                    manifest, record = read_manifest(path.parent), read_record(path.parent)
                    cost = Cost(manifest["minutes"], manifest["peak_gib"])
                except (ValueError, KeyError):  # damaged: the plan says so of the run itself
                    continue
                self.known[notebook].append((record["parameters"], cost))

    def of(self, notebook: str, parameters: Mapping[str, Any]) -> Cost:
        """The cost of a run with these parameters, or an unknown one."""
        if not self.known.get(notebook):
            return Cost()
        nearest, cost = max(self.known[notebook], key=lambda run: likeness(run[0], parameters))
        ours, theirs = work_of(parameters), work_of(nearest)
        more = ours / theirs if ours and theirs else 1.0  # without steps there is nothing to go by
        return Cost(cost.minutes * more, cost.gib)


def likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """How many parameters two runs have in common."""
    return sum(name in one and one[name] == value for name, value in other.items())


def work_of(parameters: Mapping[str, Any]) -> float:
    """Steps times rows of a step; 1 where a notebook has no such thing."""
    return parameters.get("steps", 1) * parameters.get("rows_per_step", 1)
