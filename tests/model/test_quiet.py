from transformers.utils import logging

from cpack_lib.model.quiet import quietly


def test_a_quiet_part_within_another_does_not_end_it():
    level = logging.get_verbosity()
    with quietly():
        with quietly():
            pass
        assert not logging.is_progress_bar_enabled() and logging.get_verbosity() == logging.ERROR
    assert logging.is_progress_bar_enabled() and logging.get_verbosity() == level
