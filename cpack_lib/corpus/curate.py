"""The pipeline: raw documents and given pairs in; pairs, texts, the rows set aside and a funnel out.

Shard by shard by any workers (`work.pool`): each shard is treated, then copies are looked for in the sorted
keys of all parts, then each part loses its copies. What is held is the shards in flight, one bucket of keys,
and a byte for each row.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

import polars as pl

from cpack_lib.corpus.clean.funnel import summed
from cpack_lib.corpus.clean.rule import KEPT, PAGES, SIDES, STAGES, Judge, Rule
from cpack_lib.corpus.clean.text import REPAIRS, Repair
from cpack_lib.corpus.copies.keys import First
from cpack_lib.corpus.copies.near import Near
from cpack_lib.corpus.copies.runs import Place
from cpack_lib.corpus.parts import SETS, Part, digest_of_rows, fates_of, finish_part, make_part
from cpack_lib.corpus.read.schemas import BYTES_PER_SHARD, ROWS_PER_SHARD
from cpack_lib.corpus.structure.pairs import MAKERS
from cpack_lib.corpus.treat import Treated, treat_documents, treat_pairs
from cpack_lib.work.files import digest, digest_of
from cpack_lib.work.workers.pool import each, ready

WRITTEN = ("pairs", "texts", "rejected")
CODE = digest_of(sorted(Path(__file__).parent.rglob("*.py")))  # parts that other code made are made again
Treat = tuple[str, Callable[[pl.DataFrame], Treated], Iterable[pl.DataFrame]]  # kind, treatment, shards


def curate(
    documents: Iterable[pl.DataFrame],
    extra_pairs: Iterable[pl.DataFrame],
    folder: Path,
    rules: list[Judge],
    copies: Sequence[First | Near] = (),
    kinds: Iterable[str] = tuple(MAKERS),
    repairs: Sequence[Repair] = REPAIRS,
    workers: int | str = 1,
    code: str = "zh",
) -> pl.DataFrame:
    """Write pairs/, texts/, rejected/ (Parquet shards) and funnel.csv into the folder; the funnel.

    `rules` judge the rows of a shard, in their order within each stage; `copies` those of the whole set after
    them; `kinds` are the makers of `pairs.MAKERS` to use, `repairs` what mends every text, `code` the
    language whose forms the makers look for. `workers` is as in `pool.each`; rules of the stage KEPT, which
    may hold an encoder, are asked in this process. A killed run, called again, goes on.
    """
    first, last = ([rule for rule in rules if (rule.stage == KEPT) == late] for late in (False, True))
    kinds, told = tuple(kinds), [(rule.stage, rule.name, mark_of(rule)) for rule in [*first, *copies]]
    recipe = [told, kinds, [repair.name for repair in repairs], code, CODE]
    judging = {"rules": first, "repairs": repairs}
    treats = [
        ("documents", partial(treat_documents, kinds=kinds, code=code, **judging), documents),
        ("pairs", partial(treat_pairs, **judging), extra_pairs),
    ]
    with ready(workers):
        tasks = part_tasks(folder / ".parts", treats, copies, digest(recipe))
        made = [part for _, part in each(make_part, tasks, workers)]
        search, fates = searched(folder / ".parts", made, copies, workers)
        columns = {name: columns_of([part.folder / f"{name}.arrow" for part in made]) for name in SETS}
        tasks = [
            (part.folder.name, (part.folder, part.folder / search.name, fate, columns, last, copies))
            for part, fate in zip(made, fates, strict=True)
        ]
        kept = [part for _, part in each(finish_part, tasks, 1 if last else workers)]
    return published(folder, kept, steps(repairs, rules, copies))


def part_tasks(
    parts: Path, treats: Iterable[Treat], copies: Sequence[First | Near], recipe: str
) -> Iterator[tuple[str, tuple]]:
    """A task for each shard of documents and of pairs, read as it is asked for."""
    for kind, treat, shards in treats:
        for name, shard in numbered(kind, shards):
            place = parts / f"{name}-{digest_of_rows(shard)}-{recipe}"
            yield name, (place, treat, shard, copies)


def searched(
    parts: Path, made: Sequence[Part], copies: Sequence[First | Near], workers: int | str
) -> tuple[Path, list[dict[str, tuple[Path, int]]]]:
    """(the folder of the search for copies in these parts, each part's `fates` as finish_part takes them)."""
    search = parts / f"search-{digest([part.folder.name for part in made])}"
    search.mkdir(parents=True, exist_ok=True)
    fates = [{} for _ in made]
    for name, stage in SETS.items():
        starts = [0, *accumulate(getattr(part, name) for part in made)]
        places = [Place(part.folder, start) for part, start in zip(made, starts[:-1], strict=True)]
        path = fates_of(places, starts[-1], stage, copies, search, workers)
        for fate, start in zip(fates, starts[:-1], strict=True):
            fate[name] = (path, start)
    return search, fates


def mark_of(rule: Judge | First | Near) -> str:
    """What tells a rule from one of the same name."""
    return str(rule.limit) if isinstance(rule, Rule) else repr(rule)


def columns_of(paths: Sequence[Path]) -> dict[str, pl.DataType]:
    """The columns of all these files together, which every shard made of them will have."""
    frames = [pl.DataFrame(schema=pl.read_ipc_schema(path)) for path in paths]
    return dict(pl.concat(frames, how="diagonal_relaxed").schema) if frames else {}


def numbered(kind: str, shards: Iterable[pl.DataFrame]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The shards with a name each, small ones put together until they are as large as a shard may be."""
    waiting: list[pl.DataFrame] = []
    number = 0
    for shard in shards:
        waiting.append(shard)
        rows, size = sum(map(len, waiting)), sum(frame.estimated_size() for frame in waiting)
        if rows >= ROWS_PER_SHARD or size >= BYTES_PER_SHARD:
            yield f"{kind}-{number:06}", pl.concat(waiting, how="diagonal_relaxed")
            waiting, number = [], number + 1
    if waiting:
        yield f"{kind}-{number:06}", pl.concat(waiting, how="diagonal_relaxed")


def published(folder: Path, kept: Sequence[Part], order: list[tuple[str, str]]) -> pl.DataFrame:
    """Put what is left of all parts under the names that `datasets.load_dataset` knows; the funnel.

    The files get a second name, which takes neither time nor room; then the parts are deleted.
    """
    for name in WRITTEN:
        full = [part for part in kept if name == "rejected" or getattr(part, name)] or list(kept[:1])
        new = folder / f".{name}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for number, part in enumerate(full):
            os.link(part.folder / f"{name}.parquet", new / f"train-{number:05}-of-{len(full):05}.parquet")
        shutil.rmtree(folder / name, ignore_errors=True)
        new.replace(folder / name)
    funnel = summed((pl.read_parquet(part.folder / "counts.parquet") for part in kept), order)
    funnel.write_csv(folder / "funnel.csv")
    clear(folder)
    return funnel


def clear(folder: Path) -> None:
    """Delete all parts at once, as the next run sees it: one that lacks some files would pass for whole."""
    gone = folder / ".gone"
    shutil.rmtree(gone, ignore_errors=True)  # from a run that was killed here
    (folder / ".parts").replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def steps(
    repairs: Sequence[Repair], rules: Sequence[Judge], copies: Sequence[First | Near]
) -> list[tuple[str, str]]:
    """(stage, rule) of everything that is counted, in the order in which it is done."""
    mended = [repair.name for repair in repairs]
    repaired = {PAGES: ["plain text", *mended], SIDES: mended}
    return [
        (stage, name)
        for stage in STAGES
        for name in repaired.get(stage, [rule.name for rule in [*rules, *copies] if rule.stage == stage])
    ]
