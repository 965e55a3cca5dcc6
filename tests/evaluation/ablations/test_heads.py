"""Promises of ablations.heads: the gradient by hand, batches that never repeat, learning what is there."""

import numpy as np
import pytest
import torch

from cpack_lib.evaluation.ablations.heads import (
    batches,
    found_first,
    letters_of,
    new_head,
    through,
    train_head,
)


@pytest.fixture
def pairs():
    """200 pairs (200, 24): the same 6 numbers in both, in 18 of noise that is louder."""
    draw = np.random.default_rng(0)
    told = np.repeat(draw.normal(size=(200, 1, 6)), 2, axis=1)
    both = np.concatenate([told, 3 * draw.normal(size=(200, 2, 18))], axis=2).astype(np.float32)
    return both[:, 0], both[:, 1]


def test_it_learns_to_listen_to_what_a_pair_shares(pairs):
    head = new_head(24, 8, seed=1)
    before = found_first(*(through(side[150:], head) for side in pairs))
    trained = train_head(head, *(side[:150] for side in pairs), steps=150, rows_per_step=50)
    after = found_first(*(through(side[150:], trained) for side in pairs))
    assert before < 0.2 and after > 0.6


def test_a_first_step_of_adam_goes_by_the_sign_of_the_gradient(pairs):
    head, (queries, passages) = new_head(24, 8), (side[:10] for side in pairs)
    stepped = train_head(head, queries, passages, steps=1, rows_per_step=10, learning_rate=0.01)
    weight = torch.from_numpy(head).requires_grad_()
    q, p = (torch.from_numpy(side) @ weight for side in (queries, passages))
    scores = (q / q.norm(dim=1, keepdim=True)) @ (p / p.norm(dim=1, keepdim=True)).T / 0.05
    torch.nn.functional.cross_entropy(scores, torch.arange(10)).backward()
    assert stepped - head == pytest.approx(-0.01 * np.sign(weight.grad.numpy()), abs=1e-4)


def test_of_several_passages_the_first_is_right(pairs):
    queries, passages = pairs
    groups = np.stack([passages, np.roll(passages, 1, axis=0)], axis=1)
    head = new_head(24, 8)
    options = {"steps": 3, "rows_per_step": 40, "seed": 2}
    assert not np.allclose(
        train_head(head, queries, groups, **options), train_head(head, queries, passages, **options)
    )
    alone = train_head(head, queries, passages[:, None], **options)
    assert np.array_equal(alone, train_head(head, queries, passages, **options))


def test_a_head_depends_on_its_seed_alone_and_the_one_given_stays(pairs):
    head, given = new_head(24, 8, seed=3), new_head(24, 8, seed=3)
    first, again = (train_head(head, *pairs, steps=4, rows_per_step=32, seed=5) for _ in range(2))
    assert np.array_equal(first, again) and np.array_equal(head, given)
    assert not np.array_equal(first, train_head(head, *pairs, steps=4, rows_per_step=32, seed=6))


def test_letters_that_are_rare_count_more_and_those_in_every_text_nothing():
    among = ["的猫", "的狗", "的鸟", "的猫"]
    vectors = letters_of(["猫的", "狗的", "鸟", "的"], among, 4_096)
    assert np.linalg.norm(vectors[:3], axis=1) == pytest.approx([1, 1, 1]) and not vectors[3].any()
    assert vectors[0] @ vectors[1] == pytest.approx(0, abs=1e-6)
    both = letters_of(["猫和狗"], among, 4_096)[0]
    assert both @ vectors[1] > both @ vectors[0] > 0


def test_no_row_comes_twice_before_all_have_come():
    taken = list(batches(10, 3, 6, seed=0))
    assert all(len(rows) == 3 for rows in taken)
    assert len(set(np.concatenate(taken[:3]).tolist())) == 9
    assert [len(rows) for rows in batches(5, 8, 2, seed=0)] == [5, 5]


def test_any_passage_that_answers_counts():
    queries = np.eye(3, dtype=np.float32)
    passages = np.eye(3, dtype=np.float32)[[1, 0, 2]]
    assert found_first(queries, passages) == pytest.approx(1 / 3)
    assert found_first(queries, passages, np.array([7, 7, 8])) == 1
