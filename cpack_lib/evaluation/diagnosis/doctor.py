"""`cpack doctor MODEL|RUN`: every diagnostic that applies, as a readable list; 0 if all is fine, else 1.

A MODEL is a sentence-transformers folder, or an id of the Hugging Face hub. A RUN is RUN/NOTEBOOK, a run
folder or a training folder: its trainings are looked at, and the encoder it made. With a task, also what the
model makes of that task's queries, and whether a run has trained on its texts or unlearnt it.
"""

import argparse
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.diagnosis.findings import Finding, by_severity
from cpack_lib.evaluation.diagnosis.limits import LIMITS
from cpack_lib.evaluation.diagnosis.models import look_at_model
from cpack_lib.evaluation.diagnosis.opening import (
    WORLD,
    beginning_of,
    encoder_of,
    encoding,
    opened,
    place,
    prompt_of,
    sample_texts,
)
from cpack_lib.evaluation.diagnosis.space import crowded_space, vectors_finite
from cpack_lib.evaluation.diagnosis.trainings import Encode, look_at_training, trainings_of

WIDTH = 100  # columns of what is printed
INDENT = " " * 11


@dataclass
class Report:
    """What was found in one part of what was looked at, and what could not be looked at."""

    title: str
    findings: list[Finding] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", metavar="MODEL|RUN", help="a folder, an id of the hub, or RUN/NOTEBOOK")
    parser.add_argument(
        "--texts", default=WORLD, metavar="FILE", help="texts to look with, a file or world (default: world)"
    )
    parser.add_argument("--task", metavar="FOLDER", help="evaluation sets, or one TYPE/NAME of them")


def run(options: argparse.Namespace) -> int:
    """Examine and print; the exit code. ValueError, one sentence, where a name stands for nothing."""
    reports = examine(options.name, options.texts, Path(options.task) if options.task else None)
    print("\n\n".join(printed(report) for report in reports))
    found = [finding.severity for report in reports for finding in report.findings]
    warnings, failures = (found.count(severity) for severity in ("warning", "failure"))
    print(f"\n{options.name}: {len(found)} diagnostics, {warnings} warnings, {failures} failures")
    return int(warnings + failures > 0)


def examine(name: str, texts: str = WORLD, task: Path | None = None) -> list[Report]:
    """A report for each training of a run, for its encoder, and for evaluation sets where some are given.

    ValueError, one sentence, where the name, the texts or the task stand for nothing.
    """
    folder, sample = place(name), sample_texts(texts)
    trainings, encoder = trainings_of(folder), encoder_of(folder)
    if encoder is None and not trainings:
        raise ValueError(f"{folder} holds neither a training nor an encoder: name a folder that has one")
    model = None if encoder is None else opened(encoder)
    judge = None if model is None else judge_of(model, sample)
    reports = []
    for path in trainings:
        reader = judge_of(beginning_of(path), sample) if judge is None else judge
        prompt = None if model is None else prompt_of(model, "query")
        reports.append(Report(f"training {path.name}", *look_at_training(path, reader, prompt)))
    if model is not None:
        reports.append(Report("encoder", *look_at_model(model, sample)))
        if not (encoder / "modules.json").is_file():
            reports[-1].missed.append("there is no modules.json, so the pooling is the loader's guess")
    return reports if task is None else [*reports, of_sets(task, model, trainings)]


def judge_of(model: SentenceTransformer | None, sample: list[str]) -> Encode | str:
    """An encoder whose cosines tell something of data, or why there is none."""
    if model is None:
        return "there is no encoder to read them with"
    encode = encoding(model)
    vectors = encode(sample)
    found = vectors_finite(vectors)
    if not found.fires:
        found = crowded_space(vectors)
    return found.evidence if found.severity == "failure" else encode


def of_sets(folder: Path, model: SentenceTransformer | None, trainings: list[Path]) -> Report:
    """What evaluation sets tell."""
    from cpack_lib.evaluation.diagnosis import sets  # imports mteb, which takes seconds

    tasks = sets.tasks_in(folder)
    findings, missed = sets.look_at_run(trainings, model, tasks)
    if model is not None:
        findings = sets.look_at_prompts(model, tasks) + findings
    return Report(f"evaluation sets of {folder.name}", findings, missed)


def printed(report: Report) -> str:
    """A report as text: the worst first, a line for what is fine, evidence and remedy for the rest."""
    lines = [report.title, *(told(finding) for finding in by_severity(report.findings))]
    return "\n".join(lines + [wrapped(f"  not looked at: {reason}") for reason in report.missed])


def told(finding: Finding) -> str:
    """One finding: its name with the measured value and where it would begin; if it fires, all about it."""
    limit = LIMITS[finding.name]
    first = f"  {finding.severity:<8} {finding.name:<21} {finding.value:>8.3g}  ({limit.measures}; "
    first += f"warning from {limit.warning:g}, failure from {limit.failure:g})"
    if not finding.fires:
        return first
    return "\n".join([first, wrapped(finding.evidence), wrapped("→ " + finding.remedy)])


def wrapped(text: str) -> str:
    """A text in lines of at most WIDTH, indented below the names."""
    return textwrap.fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
