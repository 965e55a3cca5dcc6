"""The bag and the BERT that begins as one: the same embeddings, and every weight can learn."""

import math

import numpy as np
import pytest
import torch

from cpack_lib.model import bag
from cpack_lib.model.bag import LIGHTEST, Bag, flat, give_to_bert
from cpack_lib.model.encoder import Encoder, new_language_model
from cpack_lib.model.tokens import pad, token_ids

RNG = np.random.default_rng(0)
V, D = 50, 24


def new_bag(vocab_size: int = V, width: int = D) -> Bag:
    """A bag whose tokens stand in random shares of the texts."""
    return Bag(vocab_size, width, document_share=RNG.random(vocab_size), seed=2)


def by_loops(table: torch.Tensor, row: list[int]) -> list[float]:
    """One text's embedding, coordinate by coordinate, in Python floats."""
    width, total = table.shape[1], [0.0] * table.shape[1]
    for token in row:
        values = table[token].tolist()
        mean = sum(values) / width
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / width + 1e-5)
        scaled = [(value - mean) / spread for value in values]
        weight = math.exp(scaled[0])
        total = [so_far + weight * value for so_far, value in zip(total, [0.0, *scaled[1:]], strict=True)]
    middle = sum(total) / width
    total = [value - middle for value in total]
    length = math.sqrt(sum(value**2 for value in total))
    return [value / length for value in total]


@pytest.mark.parametrize("lengths", [[1], [3, 1, 8], [30] * 3])
def test_a_bag_is_a_weighted_sum_of_its_tokens(lengths):
    model = new_bag()
    rows = [RNG.integers(0, V, size=length) for length in lengths]
    offsets = torch.tensor(np.cumsum([0, *lengths])[:-1])
    found = model(torch.from_numpy(np.concatenate(rows)), offsets)
    expected = torch.tensor([by_loops(model.table.detach().double(), row.tolist()) for row in rows])
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)


def test_order_does_not_matter_and_rare_tokens_weigh_more():
    ids, one = torch.tensor([3, 1, 4, 1, 5]), torch.tensor([0])
    model = new_bag()
    torch.testing.assert_close(model(ids, one), model(ids.flip(0), one))
    share = np.full(V, 1.0)
    share[7] = 1e-3
    rare = Bag(V, D, share, seed=2)
    torch.testing.assert_close(rare.table[7, 0].item(), math.log(-math.log(1e-3) + LIGHTEST))
    torch.testing.assert_close(rare.table[8, 0].item(), math.log(LIGHTEST))
    alone = rare(torch.tensor([7]), one)
    both, common = rare(torch.tensor([7, 8]), one), rare(torch.tensor([8]), one)
    assert (both @ alone.T).item() > 0.9 > 0.5 > (both @ common.T).item()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_tokens_in_no_text_and_in_all_texts_have_finite_weights(share):
    assert torch.isfinite(Bag(V, D, np.full(V, share)).table).all()


def test_random_tables_depend_on_the_seed_alone():
    share = RNG.random(V)
    before = torch.get_rng_state()
    assert torch.equal(Bag(V, D, share, seed=5).table, Bag(V, D, share, seed=5).table)
    assert not torch.equal(Bag(V, D, share, seed=5).table, Bag(V, D, share, seed=6).table)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_spelled_token_is_the_sum_of_its_letters():
    spelling = ["[CLS]", "刑", "责", "刑事", "##刑事责任", "law", "责任", "任任"]
    share = np.array([1.0, 0.3, 0.0, 0.2, 0.01, 0.05, 0.7, 0.6])
    found = Bag(len(spelling), D, share, seed=4, spelling=spelling).table.detach()
    generator = torch.Generator().manual_seed(4)
    own = torch.randn(len(spelling), D, generator=generator)
    letters: dict[str, list[int]] = {}  # a character or pair of characters -> each time a token has it
    for place, token in enumerate(spelling):
        bare = token.replace("##", "")
        if any(ord(letter) > 127 for letter in bare):
            for gram in [*bare, *(bare[i : i + 2] for i in range(len(bare) - 1))]:
                letters.setdefault(gram, []).append(place)
    vectors = torch.randn(len(letters), D, generator=generator)
    for place in range(len(spelling)):
        total = own[place] * weight(share[place])
        for vector, places in zip(vectors, letters.values(), strict=True):
            total = (
                total + places.count(place) * weight(min(1.0, sum(share[each] for each in places))) * vector
            )
        length = total.norm().item() / D**0.5
        torch.testing.assert_close(found[place, 1:], total[1:] / length, atol=1e-5, rtol=1e-5)
        assert found[place, 0].item() == pytest.approx(math.log(length), abs=1e-5)


def weight(share: float) -> float:
    """The rarity of what stands in a share of the texts."""
    return max(0.0, -math.log(max(share, 1e-6))) + LIGHTEST


def test_spelled_tokens_with_common_characters_begin_alike():
    spelling = ["刑事责任", "刑事", "薄荷"]
    table = Bag(3, 512, np.full(3, 0.01), spelling=spelling).table.detach()[:, 1:]
    near, far = torch.cosine_similarity(table[0], table[1], 0), torch.cosine_similarity(table[0], table[2], 0)
    assert near > 0.3 > 0.15 > abs(far)


@pytest.mark.parametrize("rows", [[], [[]], [[5]], [[5, 6], [], [7, 8, 9]]])
def test_flat_rows_are_what_a_loop_would_lay_out(pieces, rows):
    expected, begins = [], []
    for row in rows:
        begins.append(len(expected))
        expected += [pieces.cls_token_id, *row, pieces.sep_token_id]
    ids, offsets = flat([np.asarray(row, dtype=np.uint16) for row in rows], pieces)
    assert ids.tolist() == expected and offsets.tolist() == begins
    assert (ids.dtype, offsets.dtype) == (torch.int64, torch.int64)


@pytest.fixture
def begun(pieces, monkeypatch) -> tuple[Bag, Encoder, torch.nn.Module]:
    """A bag, the encoder that begins as it, and the language model around that; places tell nothing."""
    monkeypatch.setattr(bag, "POSITION_SCALE", 0.0)
    model, language_model = new_bag(len(pieces), 512), new_language_model("nano", len(pieces))
    give_to_bert(model.table.detach(), language_model, pieces.cls_token_id)
    return model, Encoder(language_model.bert, pieces).eval(), language_model


def test_a_bert_begins_as_exactly_the_bag(begun, pieces, texts):
    model, encoder, _ = begun
    rows = token_ids(pieces, [*texts, "", "雨", texts[2] * 3], longest=64)
    with torch.no_grad():
        found, expected = encoder(*pad(rows, pieces)), model(*flat(rows, pieces))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_with_places_it_is_still_nearly_the_bag(pieces, texts):
    model, language_model = new_bag(len(pieces), 512), new_language_model("nano", len(pieces))
    give_to_bert(model.table.detach(), language_model, pieces.cls_token_id)
    rows = token_ids(pieces, texts, longest=64)
    with torch.no_grad():
        found = Encoder(language_model.bert, pieces).eval()(*pad(rows, pieces))
        cosine = (found * model(*flat(rows, pieces))).sum(dim=1)
    assert cosine.min() > 0.98 and not torch.allclose(cosine, torch.ones(()), atol=1e-4)


def test_its_first_guesses_are_the_tokens_of_the_text_and_frequent_ones(begun, pieces, texts):
    model, encoder, language_model = begun
    log_share = -model.table[:, 0].detach().exp()
    torch.testing.assert_close(language_model.cls.predictions.bias.detach(), log_share)
    for text in texts:
        ids = torch.tensor([pieces(text)["input_ids"]])
        with torch.no_grad():
            guesses = language_model.cls(encoder.backbone(input_ids=ids).last_hidden_state[0, 0]) - log_share
        inside = torch.zeros(len(pieces), dtype=torch.bool).index_fill_(0, ids[0, 1:-1], True)
        assert guesses[inside].median() > guesses[~inside].quantile(0.7)


def test_after_one_step_every_weight_that_should_learn_has_a_gradient(begun, pieces, texts):
    _, encoder, language_model = begun
    ids, is_token = pad(token_ids(pieces, texts, longest=16), pieces)
    optimizer = torch.optim.SGD(language_model.parameters(), lr=0.1)
    for _ in range(2):  # in the first step, what lies before a matrix of zeros has to wait
        optimizer.zero_grad()
        logits = language_model(input_ids=ids, attention_mask=is_token.long()).logits
        (logits[is_token].logsumexp(dim=-1).mean() + encoder(ids, is_token)[:, :5].sum()).backward()
        optimizer.step()
    waiting = [name for name, weight in language_model.named_parameters() if not weight.grad.abs().sum() > 0]
    assert not [name for name in waiting if not name.endswith("key.bias")]  # softmax ignores a common shift


def test_a_table_of_another_shape_is_refused(pieces):
    with pytest.raises(ValueError, match=r"a table of \(3, 4\) for"):
        give_to_bert(torch.zeros(3, 4), new_language_model("nano", len(pieces)), 2)
