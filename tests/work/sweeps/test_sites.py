"""Promises of cpack_lib.work.sweeps.sites: a file is understood, or refused by name, line and value."""

import re

import pytest

from cpack_lib.work.files import ROOT
from cpack_lib.work.sweeps.sites import read_site


def site(tmp_path, text):
    path = tmp_path / "params/sites/here.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return read_site("here", tmp_path)


def test_a_notebook_may_ask_for_more_than_the_others(tmp_path):
    found = site(tmp_path, "partition: gpu\nnotebooks: {03_contrast_pairs: {nodes: 2, gpus_per_node: 8}}")
    assert (found.of("03_contrast_pairs").nodes, found.of("03_contrast_pairs").processes) == (2, 8)
    assert found.of("05_evaluate_cmteb").nodes == 1 and found.of("03_contrast_pairs").partition == "gpu"
    assert found.processes == 0  # what the notebook says


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("partiton: gpu", "partiton is no line of a site; did you mean partition?"),
        ("nodes: two", "nodes has to be int, but it is 'two', a str"),
        ("nodes: 0", "nodes is 0; it has to be at least 1"),
        ("gpus_per_node: -1", "gpus_per_node is -1; it has to be at least 0"),
        ("modules: cuda", "modules has to be list[str], but it is 'cuda'"),
        ("time: 24:00", "time has to be str, but it is 1440"),
        ("notebooks: {03_contrast_pairs: {gpu: 1}}", "03_contrast_pairs: gpu is no line of a site"),
        ("notebooks: [03]", "notebooks is [3]; write NOTEBOOK"),
        ("notebooks: {03: {notebooks: {}}}", "notebooks stand within notebooks"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(tmp_path, text, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        site(tmp_path, text)
    assert "here.yaml" in str(error.value)


def test_a_site_that_is_not_there_is_named_with_those_that_are(tmp_path):
    site(tmp_path, "{}")
    with pytest.raises(
        ValueError, match="there is no site 'there'; write --site and one of params/sites/: here"
    ):
        read_site("there", tmp_path)
    with pytest.raises(ValueError, match="a job needs a site; write --site"):
        read_site(None, tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "params/sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_sites_here_can_be_read(path):
    assert read_site(path.stem).partition
