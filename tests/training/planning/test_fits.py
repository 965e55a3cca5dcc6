"""What fits is found, and nothing that does not."""

from dataclasses import replace

from cpack_lib.training.planning.cluster import CARDS
from cpack_lib.training.planning.fits import NOTHING, fewest_gpus, fits, largest_chunk, quickest, ways
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.memory import peak_gib
from cpack_lib.training.planning.seconds import step_s

A100, T4 = CARDS["a100-40g"], CARDS["t4"]
LARGE = Job(size="large", batch=19_200, gpus=24)


def test_each_way_is_a_trade_of_memory_for_time():
    found = ways(LARGE)
    gib = {name: peak_gib(way, A100.fused) for name, way in found.items()}
    seconds = {name: step_s(way, A100) for name, way in found.items()}
    for more, less in (("all kept", "embedded twice"), ("all kept", "all kept, layers recomputed")):
        assert gib[more] > gib[less] and seconds[more] < seconds[less]


def test_the_largest_chunk_fits_and_its_double_does_not():
    size = largest_chunk(LARGE, A100)
    cached = replace(LARGE, activations_gib=NOTHING)
    assert fits(replace(cached, tokens_per_chunk=size), A100)
    assert not fits(replace(cached, tokens_per_chunk=2 * size), A100)


def test_a_chunk_is_never_larger_than_what_there_is():
    assert largest_chunk(Job(size="small", batch=100, gpus=2), CARDS["h200"]) == 100 * 128


def test_where_nothing_fits_nothing_is_offered():
    huge = Job(size="large", batch=10_000_000, gpus=1)
    assert (largest_chunk(huge, T4), fewest_gpus(huge, T4), quickest(huge, T4)) == (0, 0, None)


def test_the_quickest_way_fits():
    name = quickest(LARGE, A100)
    assert name == "all kept, layers recomputed" and fits(ways(LARGE)[name], A100)
    assert quickest(replace(LARGE, size="small"), A100) == "all kept"


def test_one_gpu_holds_the_papers_batch():
    assert fewest_gpus(LARGE, A100) == 1
