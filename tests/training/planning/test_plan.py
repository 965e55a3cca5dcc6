"""`cpack plan` prints a plan, says whether it fits, and refuses what cannot be before it does anything."""

import argparse

import pytest

from cpack_lib.training.planning import plan
from cpack_lib.training.planning.cluster import CARDS
from cpack_lib.training.planning.jobs import Job


def planned(line: str) -> int:
    """The exit code of a command line."""
    parser = argparse.ArgumentParser(prog="cpack plan")
    plan.arguments(parser)
    return plan.run(parser.parse_args(line.split()))


def test_a_plan_has_memory_time_money_and_what_fits(capsys):
    assert planned("--size large --batch 19200 --gpus 24 --card a100-40g --price 3") == 0
    said = capsys.readouterr().out
    for part in (
        "optimiser states",
        "embeddings and scores",
        "embed again",
        "reduce",
        "GPU-hours",
        "at 3 an hour",
    ):
        assert part in said
    assert "It fits" in said and "largest chunk that fits, embedded twice: 32,768 tokens" in said
    assert "Assumed: products reach 50% of the peak" in said and "25 GB/s between machines" in said


def test_what_does_not_fit_ends_with_another_code(capsys):
    assert planned("--size large --batch 19200 --activations-gib 500 --card 4090") == 1
    assert "It does not fit: tensors may fill 21.6 GiB of 23.6" in capsys.readouterr().out


def test_the_papers_runs(capsys):
    assert planned("--paper") == 0
    said = capsys.readouterr().out
    assert said.count("GPU-hours") == 3
    assert "paper, section 4" in said and "assumed" in said and "an estimate nobody confirmed" in said


def test_this_machine_is_measured_for_the_job_that_is_asked(monkeypatch, capsys):
    asked = []

    def measured(job):
        asked.append(job)
        return CARDS["t4"]

    monkeypatch.setattr(plan, "this_machine", measured)
    assert planned("--size nano --batch 64 --card cpu --precision float32 --recompute --both-ways") == 0
    assert asked == [Job(size="nano", batch=64, precision="float32", recompute=True, both_ways=True)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--size huge", "size is 'huge'; choose one of nano"),
        ("--card v100", "no card is called 'v100'"),
        ("--card t4", "the card t4 has no bfloat16; set precision to float32"),
        ("--card cpu --gpus 2", "2 GPUs of the card cpu are 2 machines like this one; set gpus to 1"),
        ("--card cpu --batch 0", "batch is 0"),
        ("--batch 16 --gpus 24", "leaves 8 of 24 GPUs without a query"),
        ("--price -1", "price is -1.0"),
        ("--share 2", "share is 2.0"),
        ("--gb-per-s 0", "gb_per_s is 0.0"),
        ("--passage-tokens 600", "passage_tokens is 600; a text has 3 to 512 tokens"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence_before_any_work(monkeypatch, capsys, line, complaint):
    monkeypatch.setattr(plan, "this_machine", lambda job: pytest.fail("measured before it was refused"))
    with pytest.raises(ValueError) as caught:
        planned(line)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_columns_of_numbers_stand_to_the_right():
    told = plan.table(["part", "GiB"], [("a", "1.50"), ("kept", "12.00")])
    assert told == "part    GiB\na      1.50\nkept  12.00"
