"""What every worker shares: an outcome, and functions, arguments and results as bytes on the way.

No polars is imported here: a worker's share of the cores has to be in its environment before that.
"""

import os
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

import cloudpickle

from cpack_lib.work.files import ROOT

Tasks = Iterable[tuple[str, tuple]]  # a name, and the arguments of the function
Outcome = tuple[Any, str]  # the result and "", or None and how it failed: in one line, then its traceback

AHEAD = 2  # tasks in flight for each worker, so that the others go on while the oldest takes its time
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def attempt(work: Callable[[], Any]) -> Outcome:
    """What a call gives, or how it fails: a panic of polars too, which is no Exception."""
    try:
        return work(), ""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return None, f"{line}\n{traceback.format_exc()}"


def surroundings() -> dict[str, str]:
    """What a worker's environment adds to ours: one thread each, and where this library lies."""
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def answer(function: bytes, arguments: bytes) -> Outcome:
    """A task in a worker: a function with arguments to an outcome, whose result is packed again."""
    return attempt(lambda: cloudpickle.dumps(loaded(function)(*cloudpickle.loads(arguments))))


@lru_cache(maxsize=1)  # each worker has one function
def loaded(function: bytes) -> Callable:
    """The function in its bytes."""
    return cloudpickle.loads(function)


def opened(outcome: Outcome) -> Outcome:
    """An outcome that arrived, with its result out of the bytes."""
    packed, failure = outcome
    return (None, failure) if failure else attempt(partial(cloudpickle.loads, packed))
