"""Promises of cpack_lib.work.sweeps.read: a file is understood, or refused with its name and the value."""

import re

import pytest

from cpack_lib.work.sweeps.points import points_of
from cpack_lib.work.sweeps.read import read_sweep
from tests.small_sweep import SWEEP, write_sweep

HEAD = "profile: tiny\ngoals: [02_second]\n"


def named(home, text):
    write_sweep(home, text)
    return [point.name for point in points_of(read_sweep("small", home))]


def test_zipped_lists_go_side_by_side_and_a_grid_crosses(home):
    assert named(home, SWEEP) == ["rows_per_step=1,rate=0.25", "rows_per_step=2,rate=0.5"]
    crossed = named(home, SWEEP.replace("zip:", "grid:"))
    assert crossed[1] == "rows_per_step=1,rate=0.5" and len(crossed) == 4


def test_axes_cross_a_list_names_its_cases_and_seeds_come_last(home):
    text = HEAD + "axes:\n  - list: {budget: {few: {02_second: {steps: 1}}, many: {02_second: {steps: 9}}}}\n"
    text += "  - grid: {02_second: {rate: [0.1, 0.2]}}\nroles: {budget: scientific, rate: nuisance}\n"
    text += "seeds: [3, 4]\nseeded: [02_second]\n"
    names = named(home, text)
    assert names[:3] == [
        "budget=few,rate=0.1,seed=3",
        "budget=few,rate=0.1,seed=4",
        "budget=few,rate=0.2,seed=3",
    ]
    assert len(names) == 8
    last = points_of(read_sweep("small", home))[-1]
    assert last.changes == {"02_second": {"steps": 9, "rate": 0.2, "seed": 4}}


def test_a_parameter_that_two_notebooks_have_is_named_with_its_notebook(home):
    text = HEAD + "axes:\n  - zip: {01_first: {rows: [1], wait: [0.1]}, 02_second: {rate: [0.1]}}\n"
    text += "  - zip: {02_second: {wait: [0.2]}}\n"
    text += "roles: {rows: scientific, 01.wait: nuisance, rate: nuisance, 02.wait: nuisance}\n"
    assert named(home, text) == ["rows=1,01.wait=0.1,rate=0.1,02.wait=0.2"]


def test_values_of_every_kind_have_a_name_without_commas(home):
    text = HEAD + 'axes:\n  - grid: {02_second: {models: [[a, b]], flag: [true], text: ["x, y"]}}\n'
    text += "roles: {models: scientific, flag: scientific, text: scientific}\n"
    assert named(home, text) == ["models=a+b,flag=true,text=x; y"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("profile:", "profil:", "'profil' is no part of a sweep; did you mean profile?"),
        ("profile: tiny", "profile: 3", "profile is 3; it has to be a str"),
        ("profile: tiny", "profile: base", "the profile is called 'base'"),
        ("goals: [02_second]\n", "", "goals is missing"),
        ("scientific", "scientfic", "rows_per_step is 'scientfic', but it varies; did you mean scientific?"),
        ("scientific", "fixed", "what is fixed stands under `fixed`"),
        ("{rows_per_step: s", "{rows_per_stp: s", "no axis varies rows_per_stp; did you mean rows_per_step?"),
        (", rate: nuisance", "", "roles: rate has none; write scientific or nuisance"),
        ("rate: [0.25, 0.5]", "rate: [0.25]", "02_second.rows_per_step has 2, 02_second.rate has 1"),
        ("rate: [0.25, 0.5]", "rate: 0.25", "02_second.rate is 0.25; a zip axis needs a list"),
        ("rate: [0.25, 0.5]", "rate: []", "02_second.rate is []; a zip axis needs a list"),
        ("zip:", "zipped:", "axis 1 is {'zipped'"),
        ("zip:", "list:", "02_second: rows_per_step is [1, 2]; write NOTEBOOK: {parameter: value}"),
        ("[1, 2], rate: [0.25, 0.5]", "[1, 1], rate: [0.5, 0.5]", "two points rows_per_step=1,rate=0.5"),
        ("rate:", "seed:", "seeds stand under `seeds`"),
        ("rate:", "value:", "value cannot name an axis"),
        (
            "roles:",
            "fixed: {02_second: {rate: 0.1}}\nroles:",
            "02_second.rate is fixed, and varied by an axis",
        ),
        ("roles:", "fixed: {02_second: 3}\nroles:", "fixed is {'02_second': 3}; write NOTEBOOK"),
        ("roles:", "seeds: [1, 1]\nseeded: [02_second]\nroles:", "seeds are [1, 1]; write different"),
        ("roles:", "seeds: [1]\nroles:", "`seeds` are given to the notebooks that `seeded` lists"),
        ("roles:", "  - grid: {02_second: {rate: [1.0]}}\nroles:", "02_second.rate stands on two axes"),
        ("roles:", "  - list: {case: {a: {02_second: {rate: 1.0}}}}\nroles:", "is set on axes 1 and 2"),
        ("profile: tiny", "profile: [", "is not readable YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_value(home, old, new, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        named(home, SWEEP.replace(old, new, 1))
    assert "params/sweeps/small.yaml" in str(error.value)


def test_a_sweep_that_is_not_there_is_named_with_those_that_are(home):
    with pytest.raises(ValueError, match="there is no sweep 'big'; params/sweeps/ has small"):
        read_sweep("big", home)
