"""Promises of cpack_lib.work.sweeps.planning: equal runs are one run, and nothing wrong ever starts."""

import re

import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.files import ROOT
from cpack_lib.work.runs import open_run
from cpack_lib.work.sweeps.planning import plan_sweep
from tests.small_sweep import SWEEP, finish, write_sweep

SEEDED = SWEEP + "seeds: [0, 1]\nseeded: [02_second]\n"


def actions(home, **options):
    return [run.planned.action for run in plan_sweep("small", home=home, **options).runs.values()]


def test_points_share_the_runs_that_are_equal_and_inputs_come_first(home):
    write_sweep(home, SEEDED)
    plan = plan_sweep("small", home=home)
    assert [run.planned.name for run in plan.runs.values()] == ["01_first", *["02_second"] * 4]
    shared = next(iter(plan.runs.values()))
    assert len(shared.points) == 4 and shared.planned.parameters["seed"] == 0
    for run in list(plan.runs.values())[1:]:
        assert run.planned.parameters["first"] == shared.name and run.needs == (shared.name,)
        assert run.planned.parameters["run_name"] == run.planned.folder.parent.name


def test_another_sweep_shares_them_too_and_a_changed_value_has_a_folder_of_its_own(home):
    before = plan_sweep("small", home=home).runs
    write_sweep(home, SWEEP.replace("0.25, 0.5", "0.25, 0.75"), name="other")
    after = plan_sweep("other", home=home).runs
    assert len(before.keys() & after.keys()) == 2 and len(after) == 3
    (home / "params/tiny/01_first.yaml").write_text("rows: 3")
    assert not before.keys() & plan_sweep("small", home=home).runs.keys()


def test_a_table_that_changes_under_its_name_makes_another_run(home):
    (home / "data.txt").write_text("one")
    fixed = f"fixed: {{02_second: {{other: 'folder:{home}/data.txt'}}}}\n"
    write_sweep(home, SWEEP + fixed)
    before = plan_sweep("small", home=home).runs
    (home / "data.txt").write_text("two")
    after = plan_sweep("small", home=home).runs
    assert [name for name in before if name in after] == [next(iter(before))]


def test_steps_are_worked_out_from_the_pairs_that_they_see(home):
    write_sweep(home, SWEEP + "fixed: {02_second: {steps: {pairs_seen: 9}}}\n")
    plan = plan_sweep("small", home=home)
    seen = [run.planned.parameters["steps"] for run in plan.runs.values() if run.needs]
    assert seen == [9, 4]  # of 1 and 2 rows; half a step is rounded to the even


def test_base_is_the_run_that_no_axis_changes(home):
    text = SWEEP.replace("02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5]}", "01_first: {rows: [3, 4]}")
    text = text.replace("{rows_per_step: scientific, rate: nuisance}", "{rows: scientific}")
    write_sweep(home, text + "fixed: {02_second: {other: base/01_first}}\n")
    plan = plan_sweep("small", home=home)
    assert [run.planned.name for run in plan.runs.values()].count("01_first") == 3
    for stages in plan.stages.values():
        own, base = stages["01_first"], stages["base/01_first"]
        assert plan.runs[stages["02_second"]].planned.parameters["other"] == base != own
        assert plan.runs[base].planned.parameters["rows"] == 2


def test_a_stage_that_a_point_does_not_read_is_not_run_for_it(home):
    text = SWEEP.replace(
        "zip: {02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5]}}",
        "list: {case: {a: {}, b: {02_second: {first: ''}}}}",
    )
    write_sweep(home, text.replace("{rows_per_step: scientific, rate: nuisance}", "{case: scientific}"))
    stages = plan_sweep("small", home=home).stages
    assert set(stages["case=a"]) == {"01_first", "02_second"} and set(stages["case=b"]) == {"02_second"}


def test_only_takes_one_point_or_all_that_share_a_value(home):
    write_sweep(home, SEEDED)
    assert len(plan_sweep("small", "rows_per_step=2", home).points) == 2
    one = plan_sweep("small", "rows_per_step=2,rate=0.5,seed=1", home)
    assert [point.name for point in one.points] == ["rows_per_step=2,rate=0.5,seed=1"] and len(one.runs) == 2
    with pytest.raises(ValueError, match=r"no point has rows_per_step=3; did you mean rows_per_step=2\?"):
        plan_sweep("small", "rows_per_step=3", home)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "[0.25, 0.5]",
            "[0.25, 5e-1]",
            "02_second.rate is declared float, but it is '5e-1', a str; YAML reads",
        ),
        ("[1, 2]", "[1, 2.0]", "02_second.rows_per_step is declared int, but it is 2.0, a float"),
        (
            "rows_per_step",
            "rows_per_stp",
            "rows_per_stp is no parameter of 02_second; did you mean rows_per_step?",
        ),
        ("zip: {02_second", "zip: {07_none", "07_none.ipynb does not exist"),
        (
            "roles",
            "fixed: {01_first: {rows: many}}\nroles",
            "01_first.rows is declared int, but it is 'many'",
        ),
        ("roles", "fixed: {01_first: {run_name: x}}\nroles", "01_first.run_name is set"),
        (
            "roles",
            "fixed: {02_second: {steps: {pairs: 3}}}\nroles",
            "write a number, or {pairs_seen: NUMBER}",
        ),
        ("roles", "fixed: {02_second: {other: 'folder:no/where'}}\nroles", "no/where does not exist"),
        ("roles", "fixed: {01_first: {wait: {pairs_seen: 3}}}\nroles", "wait is declared float, but it is {"),
        ("tiny", "tinny", "params/tinny/02_second.yaml does not exist"),
        ("[02_second]", "[03_third]", "03_third.ipynb does not exist"),
        (
            "[02_second]",
            "[01_first]",
            "02_second is changed, but no point runs it: 01_first does not read it",
        ),
    ],
)
def test_a_value_that_a_notebook_would_refuse_is_named_before_any_kernel_starts(
    home, runs, capfd, old, new, complaint
):
    write_sweep(home, SWEEP.replace(old, new))
    assert main(["sweep", "small"], home) == 2
    said = capfd.readouterr().err
    assert complaint in said and "small.yaml" in said and not runs.exists()


def test_every_wrong_value_is_told_at_once(home):
    write_sweep(home, SWEEP.replace("[1, 2]", "[1, two]").replace("[0.25, 0.5]", "[high, 0.5]"))
    with pytest.raises(ValueError, match="'two'") as error:
        plan_sweep("small", home=home)
    assert "'high'" in str(error.value)


def test_a_notebook_that_reads_itself_by_way_of_another_is_refused(home):
    notebook = home / "notebooks/01_first.ipynb"
    notebook.write_text(
        notebook.read_text().replace("rows: int", 'back: str = \\"tiny/02_second\\"  # it\\nrows: int')
    )
    with pytest.raises(ValueError, match="02_second reads itself, by way of 02_second and 01_first"):
        plan_sweep("small", home=home)


def test_what_is_finished_is_reused_and_costs_are_told_from_it(home, capfd):
    plan = plan_sweep("small", home=home)
    assert actions(home) == ["run", "run", "run"]
    finish(plan, "rows_per_step=2,rate=0.5")
    assert actions(home) == ["reuse", "reuse", "run"]
    last = list(plan_sweep("small", home=home).runs.values())[-1]
    assert last.cost.gib > 0
    assert main(["sweep", "small", "--dry-run"], home) == 0
    said = capfd.readouterr().out
    assert re.search(r"reuse +sweep\.\w+/01_first  \[2 points\]  0\.0 min, \d\.\d GiB; finished", said)
    assert (
        "1 runs to make, 2 reused" in said
        and "rows_per_step=1" in said
        and "scientific  rows_per_step: 1, 2" in said
    )


def test_time_is_scaled_by_steps_and_rows_and_unknown_without_a_finished_run(home):
    write_sweep(home, SWEEP.replace("[1, 2]", "[1, 6]"))
    plan = plan_sweep("small", home=home)
    assert [str(run.cost) for run in plan.runs.values()] == ["unknown"] * 3
    finish(plan, "rows_per_step=6,rate=0.5")
    run = next(run for run in plan.runs.values() if run.points == ("rows_per_step=1,rate=0.25",))
    path = run.planned.folder / "manifest.json"
    path.write_text(re.sub(r'"minutes": [\d.]+', '"minutes": 2.0', path.read_text()))
    assert list(plan_sweep("small", home=home).runs.values())[-1].cost.minutes == 12.0


def test_a_run_without_a_step_tells_no_time_of_a_step(home):
    steps = "02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5], steps: [0, 500]}"
    write_sweep(home, SWEEP.replace("02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5]}", steps).replace(
        "rate: nuisance", "rate: nuisance, steps: nuisance"
    ))  # fmt: skip
    plan = plan_sweep("small", home=home)
    finish(plan, "rows_per_step=2,rate=0.5,steps=500")
    run = next(run for run in plan.runs.values() if run.points == ("rows_per_step=1,rate=0.25,steps=0",))
    path = run.planned.folder / "manifest.json"
    path.write_text(re.sub(r'"minutes": [\d.]+', '"minutes": 2.0', path.read_text()))
    assert list(plan_sweep("small", home=home).runs.values())[-1].cost.minutes == 2.0


def test_a_damaged_manifest_bars_its_own_point_alone(home):
    finish(plan_sweep("small", home=home))
    damaged = plan_sweep("small", "rate=0.5", home).stages["rows_per_step=2,rate=0.5"]["02_second"]
    plan = plan_sweep("small", home=home)
    (plan.runs[damaged].planned.folder / "manifest.json").write_text('{"files"')
    plan = plan_sweep("small", home=home)
    assert [run.planned.action for run in plan.runs.values()] == ["reuse", "reuse", "refuse"]
    assert re.search(
        r"manifest.json is damaged .*; move .*02_second away and run it again", plan.runs[damaged].planned.why
    )


def test_what_reads_a_damaged_run_is_blocked_and_what_reads_a_lost_one_is_looked_at_again(home):
    finish(plan_sweep("small", home=home))
    first = next(iter(plan_sweep("small", home=home).runs.values())).planned.folder
    (first / "manifest.json").write_text("")
    assert actions(home) == ["refuse", "blocked", "blocked"]
    first.rename(home / "away")
    assert actions(home) == ["run", "look again", "look again"]


def test_a_run_that_another_process_writes_is_not_started_twice(home):
    run = next(iter(plan_sweep("small", home=home).runs.values()))
    open_run("01_first", run.planned.folder.parent.name, run.planned.parameters)
    assert actions(home) == ["refuse", "blocked", "blocked"]


@pytest.mark.parametrize("path", sorted((ROOT / "params/sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_here_can_be_planned_and_says_what_it_asks(path, runs):
    if path.stem.startswith("real_") and not (ROOT.parent / "shared/data").exists():
        pytest.skip("no ../shared/data here, which this sweep reads")
    plan = plan_sweep(path.stem)
    assert plan.sweep.question.endswith("?")
    assert len(plan.sweep.seeds) >= 3 or path.stem == "smoke", "three seeds are the fewest that show a spread"
    assert {run.planned.action for run in plan.runs.values()} == {"run"}
