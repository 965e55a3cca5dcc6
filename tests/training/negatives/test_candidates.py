"""One query's candidates: ranks, scores beside the positive's, and what became of each."""

from dataclasses import replace

import numpy as np
import pytest

from cpack_lib.training.negatives import (
    Window,
    below_share,
    candidates,
    guided,
    positive_aware,
    rank_window,
)
from cpack_lib.training.negatives.guards import BY_GUIDE
from tests.training.negatives.slow import order, unit_search, whole_search

GUARDS = {rank_window: None, positive_aware: below_share(0.95), guided: BY_GUIDE}


@pytest.mark.parametrize("strategy", GUARDS)
@pytest.mark.parametrize("counted", ["all", "accepted"])
def test_what_is_offered_is_what_the_strategy_draws_from(strategy, counted):
    wanted, window = unit_search(P=80), Window(first=3, last=20, count=80, counted=counted)
    found = strategy(wanted, window)
    for q in range(20):
        table = candidates(wanted, q, window, GUARDS[strategy])
        offered = set(table.filter(fate="offered")["row"].to_list())
        assert offered == set(found.rows[q][found.origins[q] == "mined"].tolist())


def test_ranks_scores_and_fates():
    wanted, window = unit_search(P=80), Window(first=3, last=20)
    table = candidates(wanted, 4, window, below_share(0.9), ranks=60)
    ranked, exact = order(wanted, 4)
    positive = exact[wanted.positives[4]]
    assert table["rank"].to_list() == list(range(60)) and table["row"].to_list() == ranked[:60]
    np.testing.assert_allclose(table["score"], exact[ranked[:60]], atol=1e-6)
    np.testing.assert_allclose(table["relative"], exact[ranked[:60]] / positive, atol=1e-5)
    for rank, row, score, _, fate in table.iter_rows():
        if row in wanted.own[4]:
            assert fate == "own"
        elif score > 0.9 * positive:
            assert fate == "above 90 % of the positive"
        else:
            assert fate == ("offered" if 3 <= rank < 20 else "outside the window")
    assert set(table["fate"]) >= {"own", "offered", "outside the window"}


def test_a_guide_tells_why():
    wanted = whole_search(P=60)
    fates = set(candidates(wanted, 0, Window(first=0, last=60), BY_GUIDE)["fate"])
    assert fates == {"own", "offered", "above the positive for the guide"}


def test_a_pool_of_one_text_has_one_candidate_and_offers_none():
    alone = replace(unit_search(Q=1, P=1), own=[{0}])
    for ranks in (None, 5):
        table = candidates(alone, 0, Window(), ranks=ranks)
        assert table.select("rank", "row", "fate").rows() == [(0, 0, "own")] and table["relative"][0] == 1


@pytest.mark.parametrize("query", [-1, 20])
def test_a_query_that_is_none_is_refused(query):
    with pytest.raises(ValueError, match=f"no query {query}; there are 20"):
        candidates(unit_search(), query, Window())
