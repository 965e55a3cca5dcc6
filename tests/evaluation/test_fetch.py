"""Promises of `cpack fetch`: whole copies or none, nothing twice, one sentence for what goes wrong."""

import argparse
import json
import shutil
from collections import namedtuple
from hashlib import sha256
from types import SimpleNamespace

import pytest

from cpack_lib.corpus.read.evaluation_sets import content, evaluation_sets
from cpack_lib.evaluation.tasks import fetch
from cpack_lib.evaluation.tasks.suites import open_tasks
from tests.hub.asking import ask
from tests.hub.layouts import cmteb_repositories
from tests.hub.server import Hub, Repository

FETCH = """
import argparse, contextlib, io, sys
from cpack_lib.evaluation.tasks import fetch
parser, printed, found = argparse.ArgumentParser(), io.StringIO(), {}
fetch.arguments(parser)
try:
    with contextlib.redirect_stdout(printed):
        found["code"] = fetch.run(parser.parse_args(sys.argv[1:]))
except ValueError as error:
    found["error"] = str(error)
found["lines"] = printed.getvalue().splitlines()
"""
REPOSITORIES = {repository.name: repository for repository in cmteb_repositories()}


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """An empty folder for copies, here and in every process started from here."""
    monkeypatch.setenv("CPACK_EVALUATION", str(tmp_path / "copies"))
    return tmp_path / "copies"


@pytest.fixture
def hub():
    with Hub(REPOSITORIES.values(), page=2) as hub:
        yield hub


@pytest.fixture
def fetched(hub, copies, tmp_path):
    """`cpack fetch` with some words -> its exit code or error, and its lines."""
    return lambda *words: ask(FETCH, hub.environment(tmp_path / "cache"), *words)


def test_a_copy_is_whole_and_fetched_once(hub, fetched, copies):
    first = fetched("STSB", "CMedQAv1-reranking")
    assert first["code"] == 0 and len(first["lines"]) == 3
    assert first["lines"][0].startswith("2 sets, 0 already there; 0.00 GB to fetch into ")
    for one in evaluation_sets("cmteb-35:STSB,CMedQAv1-reranking"):
        files = {
            path: data for path, data in REPOSITORIES[one.repo].files.items() if path != ".gitattributes"
        }
        got = {p.relative_to(one.folder).as_posix(): p for p in one.folder.rglob("*") if p.is_file()}
        assert {path: file.read_bytes() for path, file in got.items()} == files
        told = json.loads(one.manifest.read_text())
        assert (told["repo"], told["revision"]) == (one.repo, one.revision)
        assert {path: file["sha256"] for path, file in told["files"].items()} == {
            path: sha256(data).hexdigest() for path, data in files.items()
        }
    assert sorted(p.name for p in copies.iterdir()) == [
        "mteb__CMedQAv1-reranking-f77f0345c9b6",
        "mteb__CMedQAv1-reranking-f77f0345c9b6.json",
        "mteb__STSB-e036defee8f1",
        "mteb__STSB-e036defee8f1.json",
    ]
    hub.asked.clear()
    again = fetched("STSB", "CMedQAv1-reranking")
    assert again["code"] == 0 and hub.asked == []
    assert all(line.endswith("MB already there") for line in again["lines"][1:])


def test_what_no_task_reads_is_left_out(hub, fetched):
    assert fetched("STS22")["code"] == 0
    assert sorted(hub.fetched) == [
        "mteb/sts22-crosslingual-sts/README.md",
        "mteb/sts22-crosslingual-sts/test/en.jsonl.gz",
        "mteb/sts22-crosslingual-sts/test/zh.jsonl.gz",
    ]


def test_after_a_failure_it_goes_on_from_there(hub, fetched, copies):
    hub.broken = {"data/test-00000-of-00001.parquet"}
    failed = fetched("ATEC", "BQ")
    assert "ATEC did not come from http" in failed["error"] and "503" in failed["error"]
    assert failed["error"].endswith("the same command goes on from here") and len(failed["lines"]) == 1
    assert [path.name for path in copies.iterdir()] == [".C-MTEB__ATEC-0f319b1142f2"]
    whole = [name for name in hub.fetched if not name.endswith("test-00000-of-00001.parquet")]
    assert len(whole) == 3

    hub.broken, hub.asked = set(), []
    done = fetched("ATEC", "BQ")
    assert done["code"] == 0 and len(done["lines"]) == 3
    assert [name for name in hub.fetched if "ATEC" in name] == [
        "C-MTEB/ATEC/data/test-00000-of-00001.parquet"
    ]
    assert not [path for path in copies.iterdir() if path.name.startswith(".")]


def test_a_line_that_breaks_is_taken_up_where_it_broke(copies, tmp_path):
    (one,) = evaluation_sets("cmteb-35:ATEC")
    large = {"README.md": b"# ATEC", "data/test.parquet": bytes(range(256)) * (12 << 12)}  # 12 MiB
    with Hub([Repository(one.repo, large, one.revision)], cut=11 << 20) as hub:
        found = ask(FETCH, hub.environment(tmp_path / "cache"), "ATEC")
    assert found["code"] == 0, found
    told = json.loads(one.manifest.read_text())["files"]["data/test.parquet"]
    assert told == {"size": 12 << 20, "sha256": sha256(large["data/test.parquet"]).hexdigest()}
    assert hub.spans == ["", "bytes=10485760-"]


def test_what_the_hub_lacks_is_told_and_the_others_come(copies, tmp_path):
    stsb = REPOSITORIES["mteb/STSB"]
    other = Repository("C-MTEB/BQ", REPOSITORIES["C-MTEB/BQ"].files)  # at another commit
    with Hub([stsb, other]) as hub:
        found = ask(FETCH, hub.environment(tmp_path / "cache"), "ATEC", "BQ", "STSB")
    assert found["code"] == 1
    told = "\n".join(found["lines"])
    assert "ATEC" in told and "the hub does not give it (RepositoryNotFoundError)" in told
    assert "C-MTEB/BQ@e3dda5e1" in told and "the hub does not give it (RevisionNotFoundError)" in told
    assert [one.task for one in evaluation_sets("cmteb-35:STS") if one.is_fetched] == ["STSB"]


@pytest.mark.parametrize("offline, kind", [("0", "ConnectError"), ("1", "OfflineModeIsEnabled")])
def test_without_a_hub_one_sentence(copies, tmp_path, offline, kind):
    with Hub([]) as hub:
        settings = hub.environment(tmp_path) | {"HF_HUB_OFFLINE": offline}
    found = ask(FETCH, settings, "STSB")
    assert f"STSB did not come from {settings['HF_ENDPOINT']} ({kind}" in found["error"]
    assert "check network, proxy, HF_ENDPOINT and HF_HUB_OFFLINE" in found["error"]


def test_a_dry_run_tells_the_size_and_fetches_nothing(hub, fetched, copies):
    found = fetched("--dry-run", "Clustering")
    assert found["code"] == 0 and len(found["lines"]) == 1
    assert found["lines"][0].startswith("4 sets, 0 already there; ")
    assert hub.fetched == [] and not copies.exists()


def test_a_folder_without_a_manifest_is_replaced(fetched, copies):
    (one,) = evaluation_sets("cmteb-35:STSB")
    one.folder.mkdir(parents=True)
    (one.folder / "half.parquet").write_bytes(b"half")
    assert not one.is_fetched
    assert fetched("STSB")["code"] == 0
    assert one.is_fetched and not (one.folder / "half.parquet").exists()


def test_a_copy_that_was_changed_is_refused(fetched, copies):
    fetched("STSB")
    (one,) = evaluation_sets("cmteb-35:STSB")
    (task,) = open_tasks("cmteb-35:STSB")
    before = task.data_fingerprint
    assert before == content(one) != one.revision
    victim = one.folder / "data/test-00000-of-00001.parquet"
    victim.write_bytes(victim.read_bytes() + b" ")
    with pytest.raises(ValueError, match="is not what was fetched from mteb/STSB@e036defe: remove .*again"):
        task.load_data()
    shutil.rmtree(one.folder)
    assert not one.is_fetched and task.data_fingerprint == one.revision


@pytest.mark.parametrize(
    "words, count",
    [
        ([], 35),
        (["cmteb"], 35),
        (["cmteb-31"], 31),
        (["cmteb:STS"], 8),
        (["Retrieval"], 8),
        (["STSB", "cmteb-35:STS"], 8),
        (["STS12", "STSB"], 2),
        (["CQADupstackRetrieval"], 12),
        (["mteb-en-56"], 67),
    ],
)
def test_what_the_words_name(words, count):
    parser = argparse.ArgumentParser()
    fetch.arguments(parser)
    assert len(fetch.sets_named(parser.parse_args(words).names)) == count


def test_an_unknown_word_tells_what_exists():
    with pytest.raises(ValueError, match="'T3' is no task of cmteb-35: name one of Retrieval"):
        fetch.sets_named(["T3"])


def test_a_disk_that_is_too_small_is_told_before_the_start(copies, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetch, "shutil", SimpleNamespace(disk_usage=lambda _: usage(9, 0, int(1.5e9))))
    sets = evaluation_sets("cmteb-35:STSB,BQ")
    assert fetch.forecast(sets, {sets[0]: 10**9}).startswith("2 sets, 0 already there; 1.00 GB to fetch")
    with pytest.raises(ValueError, match=r"2.0 GB are to be fetched, but the disk of .* has 1.5 GB left"):
        fetch.forecast(sets, dict.fromkeys(sets, 10**9))
