"""What tests of sweeps share: the small project."""

import pytest

from tests.small_sweep import make_project


@pytest.fixture
def home(tmp_path, write_notebook, runs):
    """The small project in an empty folder, its runs beside it."""
    return make_project(tmp_path, write_notebook)
