"""Tables of the hub, through `datasets`, from a server on this machine that speaks as much as is needed."""

import io

import polars as pl
import pytest

from cpack_lib.corpus.read import hub
from tests.hub.asking import ask
from tests.hub.server import Hub, Repository

CARD = b"""---
configs:
- config_name: default
  data_files: [{split: train, path: "data/train-*.parquet"}]
- config_name: exam
  data_files: [{split: test, path: "exam/test-*.parquet"}]
---
"""


def parquet(rows: int) -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"title": [f"题目{i}" for i in range(rows)], "text_b": ["正文"] * rows}).write_parquet(file)
    return file.getvalue()


FILES = {
    "README.md": CARD,
    "data/train-0.parquet": parquet(500),
    "data/train-1.parquet": parquet(300),
    "exam/test-0.parquet": parquet(20),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """What a process has to be told to use the server."""
    with Hub([Repository("own/set", FILES)]) as server:
        yield server.environment(tmp_path_factory.mktemp("home"))


def test_a_split_is_streamed_and_renamed_like_any_table(settings):
    found = ask(
        """
from cpack_lib.corpus.read.sources import open_table
table = open_table("hub:own/set:train", "pairs", columns={"title": "text_a"})
frame = table.read()
exam = open_table("hub:own/set/exam@main:test", "pairs", columns={"title": "text_a"}, rows=7).read()
found = {"rows": len(frame), "first": frame.row(0), "counts": table.counts, "exam": len(exam)}
""",
        settings,
    )
    assert found["rows"] == 800 and found["first"] == ["题目0", "正文", "set", "pair"] and found["exam"] == 7
    assert found["counts"]["rejected"] == 0 and found["counts"]["filled"] == {"source": 800, "kind": 800}


def test_a_revision_that_does_not_exist_is_an_error(settings):
    found = ask(
        """
from cpack_lib.corpus.read.sources import open_table
try:
    open_table("hub:own/set@no-such-branch:train", "pairs", columns={"title": "text_a"}).read()
    found = {"error": ""}
except Exception as error:
    found = {"error": str(error)}
""",
        settings,
    )
    assert "no-such-branch" in found["error"]


def test_a_missing_column_is_named(settings):
    found = ask(
        """
from cpack_lib.corpus.read.sources import open_table
found = {}
try:
    open_table("hub:own/set:train", "pairs").read()
except ValueError as error:
    found["error"] = str(error)
""",
        settings,
    )
    assert "hub:own/set:train has no column 'text_a'" in found["error"]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("C-MTEB/T2Retrieval:corpus", ("C-MTEB/T2Retrieval", None, None, "corpus")),
        ("wikimedia/wikipedia/20231101.zh@abc:train", ("wikimedia/wikipedia", "20231101.zh", "abc", "train")),
        ("a/b@v1.0:train", ("a/b", None, "v1.0", "train")),
    ],
)
def test_an_address_in_its_parts(text, parts):
    assert tuple(hub.parse_address(text)) == parts


@pytest.mark.parametrize(
    "text", ["", "a/b", "a:train", "a/b@:train", "a/b/:train", "/b:train", "a/b:train[:10%]"]
)
def test_what_is_no_address_is_an_error(text):
    with pytest.raises(ValueError, match="write it as hub:OWNER/NAME"):
        hub.parse_address(text)
