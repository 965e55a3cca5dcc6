"""What others ran: the paper's runs fit the paper's card, and a plan comes near what was published."""

from dataclasses import replace

import pytest

from cpack_lib.training.planning.cluster import card_of
from cpack_lib.training.planning.fits import fits
from cpack_lib.training.planning.published import CARD, LABELLED, PAPER_RUNS, PRETRAINING, beside_published


def test_the_papers_runs_fit_its_card_and_every_number_has_a_source():
    assert [run.job.batch for run in PAPER_RUNS][:2] == [720, 19_200] and CARD == "a100-40g"
    for run in PAPER_RUNS:
        assert fits(run.job, card_of(CARD)), run.name
        assert all(fact.said_by for fact in run.facts)
    assert PAPER_RUNS[2].job.steps * PAPER_RUNS[2].job.batch == pytest.approx(5 * LABELLED, rel=0.001)


def test_texts_a_second_come_near_what_nvidia_measured():
    card = replace(card_of("a100-40g"), fused=False)  # in 2020 attention was several kernels
    rows = beside_published(card)
    assert [row["tokens"] for row in rows] == [128, 512] == list(PRETRAINING)
    for row in rows:
        assert row["planned"] == pytest.approx(row["published"], rel=0.15)
