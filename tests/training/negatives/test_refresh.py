"""Training in legs: each mined with the weights that it begins with; otherwise the run it would have been."""

import json
import shutil
from functools import partial

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from cpack_lib.model.encoder import load_encoder
from cpack_lib.training.loop import train
from cpack_lib.training.negatives import Window, embedder, refresh, write_groups
from cpack_lib.training.negatives.refresh import encoder_at, kept, legs, train_in_legs
from cpack_lib.training.settings import read_settings
from tests.training.conftest import random_texts


def in_this_process(module, config, folder, processes=1):
    """What `run_program` does, without another process."""
    assert module == "cpack_lib.training.loop" and processes == 1
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    assert train(read_settings(folder / "config.json"), folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Programs in this process."""
    monkeypatch.setattr(refresh, "run_program", in_this_process)


@pytest.fixture
def labelled():
    """48 queries with a positive each, of two sources."""
    texts = random_texts(96)
    columns = {"query": texts[:48], "pos": [[text] for text in texts[48:]], "neg": [[]] * 48}
    table = pl.DataFrame(columns, schema_overrides={"neg": pl.List(pl.String)})
    return table.with_columns(source=pl.Series(["诗", "文"] * 24), task=pl.lit("retrieval"))


@pytest.fixture
def config(start):
    """Settings of a run of 9 steps, dropout on."""
    given = {"objective": "contrast", "start": str(start), "steps": 9, "rows_per_step": 8}
    return given | {"learning_rate": 3e-3, "checkpoint_every": 2, "dropout": 0.1}


def mined(labelled, encoder, path, step=0):
    """Groups with two negatives near the top."""
    return write_groups(labelled, embedder(encoder, longest=24), path, window=Window(1, 9, count=2))


def trained(folder):
    """The weights that a run has written."""
    return load_file(folder / "encoder" / "model.safetensors")


def same(one, other):
    """Whether two sets of weights are the same bits."""
    return all(torch.equal(one[name], other[name]) for name in one)


def test_legs_cover_all_steps():
    assert legs(9, 4) == [(0, 4), (4, 8), (8, 9)] and legs(8, 4) == [(0, 4), (4, 8)]
    assert legs(9, 0) == legs(9, 9) == legs(9, 100) == [(0, 9)]
    for steps, every in ((9, -1), (0, 3)):
        with pytest.raises(ValueError, match=f"{steps} steps cannot be cut every {every} steps"):
            legs(steps, every)


def test_without_refreshing_it_is_one_run_of_the_loop(labelled, config, tmp_path):
    train_in_legs(config, tmp_path / "legs", 0, partial(mined, labelled))
    mined(labelled, load_encoder(config["start"]), tmp_path / "groups.parquet")
    (tmp_path / "one").mkdir()
    in_this_process(
        "cpack_lib.training.loop", config | {"data": str(tmp_path / "groups.parquet")}, tmp_path / "one"
    )
    assert same(trained(tmp_path / "legs"), trained(tmp_path / "one"))


def test_legs_with_the_same_groups_are_one_run_to_the_bit(labelled, config, tmp_path):
    first = load_encoder(config["start"])
    for every in (0, 4):
        train_in_legs(
            config, tmp_path / str(every), every, lambda _, path, step: mined(labelled, first, path)
        )
    assert same(trained(tmp_path / "0"), trained(tmp_path / "4"))
    lines = (tmp_path / "4" / "log.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 10))


def test_each_leg_is_mined_with_the_weights_of_its_beginning(labelled, config, tmp_path):
    seen = {}

    def write(encoder, path, step):
        assert path.name == f"groups-{step:07d}.parquet"
        seen[path.name] = {name: weight.clone() for name, weight in encoder.state_dict().items()}
        return mined(labelled, encoder, path)

    run, alone = tmp_path / "run", tmp_path / "alone"
    told = train_in_legs(config, run, 3, write)
    names = [f"groups-{step:07d}.parquet" for step in (0, 3, 6)]
    assert list(seen) == names and same(seen[names[0]], load_encoder(config["start"]).state_dict())
    alone.mkdir()
    for data, until in ((names[0], 3), (names[1], 6)):
        in_this_process("cpack_lib.training.loop", config | {"data": str(run / data), "until": until}, alone)
        shutil.rmtree(alone / "tokens")
        now = encoder_at(config["start"], alone, until)
        assert same(seen[f"groups-{until:07d}.parquet"], now.state_dict())
    groups = [pl.read_parquet(run / name) for name in names]
    assert 0 < kept(*groups[:2]) < 1 and kept(groups[0], groups[0]) == 1
    assert groups[0].select("query").equals(groups[2].select("query"))
    assert told["leg"].unique().sort().to_list() == [0, 3, 6] and told.filter(leg=3)["mined"].sum() > 0


@pytest.mark.parametrize("leg, step", [(0, 2), (0, 3), (3, 5), (6, 8)])
def test_killed_anywhere_it_goes_on_to_the_same_end(labelled, config, tmp_path, monkeypatch, leg, step):
    write, asked = partial(mined, labelled), []
    train_in_legs(config, tmp_path / "once", 3, write)

    def killed(module, config, folder, processes=1):
        last = config["data"].endswith(f"-{leg:07d}.parquet")
        in_this_process(module, config | {"until": step} if last else config, folder)
        if last:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(refresh, "run_program", killed)
        with pytest.raises(KeyboardInterrupt):
            train_in_legs(config, tmp_path / "twice", 3, write)

    def asking(encoder, path, step):
        asked.append(path.name)
        return write(encoder, path, step)

    told = train_in_legs(config, tmp_path / "twice", 3, asking)
    assert same(trained(tmp_path / "once"), trained(tmp_path / "twice"))
    assert asked == [f"groups-{later:07d}.parquet" for later in (3, 6) if later > leg]
    assert told["leg"].unique().sort().to_list() == [0, 3, 6]


def test_weights_that_are_gone_are_missed(config, tmp_path):
    with pytest.raises(ValueError, match="has no checkpoint-0000003; mine before training goes on"):
        encoder_at(config["start"], tmp_path, 3)


def test_groups_without_negatives_keep_nothing():
    groups = pl.DataFrame({"query": ["问"], "passages": [["答"]]})
    with pytest.raises(ValueError, match="no negatives"):
        kept(groups, groups)
