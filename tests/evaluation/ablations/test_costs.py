"""Promises of ablations.costs and published: counted as PyTorch counts, rows as the paper prints them."""

import polars as pl
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

from cpack_lib.evaluation.ablations.costs import flop_of_pairs, flop_of_text, parameters_of
from cpack_lib.evaluation.ablations.published import published_batches, published_sizes, published_stages
from cpack_lib.evaluation.ablations.tables import MEAN
from cpack_lib.model.encoder import new_language_model, size_config


@pytest.mark.parametrize("size", ["nano", "mini", "small"])
def test_parameters_are_those_of_the_model(size):
    bert = new_language_model(size, 500).bert
    whole, layers = parameters_of(size, 500)
    assert whole == sum(weight.numel() for weight in bert.parameters())
    assert layers == sum(weight.numel() for weight in bert.encoder.layer.parameters())


@pytest.mark.parametrize("size", ["nano", "small"])
@pytest.mark.parametrize("tokens", [7, 64])
def test_a_text_costs_what_pytorch_counts_without_the_last_layers_other_states(size, tokens):
    config = size_config(size, 500)
    config._attn_implementation = "eager"
    with FlopCounterMode(display=False) as counter:
        BertModel(config, add_pooling_layer=False)(torch.full((1, tokens), 5))
    D, inner, others = config.hidden_size, config.intermediate_size, tokens - 1
    unread = others * (2 * (2 * D * D + 2 * D * inner) + 4 * tokens * D)
    assert flop_of_text(size, tokens) == counter.get_total_flops() - unread


def test_a_training_is_three_passes_over_both_texts():
    assert flop_of_pairs("nano", 20, 7) == 3 * 14 * flop_of_text("nano", 20)


def test_the_papers_batches_are_its_table_4():
    table = published_batches()
    found = table.pivot("type", index="rows_per_step", values="score").sort("rows_per_step")
    assert found["rows_per_step"].to_list() == [256, 2_048, 19_200]
    assert found["Retrieval"].to_list() == [57.25, 60.96, 63.90]
    assert found["Clustering"].to_list() == [49.52, 49.04, 47.73]
    kinds = [kind for kind in found.columns if kind not in ("rows_per_step", MEAN)]
    assert len(kinds) == 6
    mean = found.select(pl.mean_horizontal(kinds)).to_series()
    assert (mean - found[MEAN]).abs().max() < 0.0051


def test_the_papers_stages_are_three_of_the_eight_subsets():
    found = {row["stages"]: row["score"] for row in published_stages().filter(type="STS").to_dicts()}
    assert found == {"contrast": 48.06, "pretrain+contrast": 47.71, "pretrain+contrast+instruct": 54.98}


def test_the_papers_sizes_are_its_table_2():
    found = published_sizes().filter(type="Retrieval")
    assert dict(found.select("size", "score").iter_rows()) == {"small": 63.07, "base": 69.53, "large": 71.53}
    released = [round(parameters_of(size, 21_128)[0] / 1e6) for size in found["size"]]
    assert released == [24, 102, 324]  # without the pooler, which nobody reads
