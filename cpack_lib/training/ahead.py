"""Work done ahead: the next step is read while this one is computed."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Number, Made = TypeVar("Number"), TypeVar("Made")


def ahead(make: Callable[[Number], Made], numbers: Iterable[Number]) -> Iterator[Made]:
    """make(n) for each n in order; each is made in a thread of its own while the one before is in use.

    An error of `make` is raised where its result is asked for.
    """
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming: Future[Made] | None = None
        for number in numbers:
            following = worker.submit(make, number)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
