"""Cards have sources, and refuse what they do not have; a network is as slow as its slowest link."""

import pytest

from cpack_lib.training.planning.cluster import (
    CARDS,
    CLUSTER,
    SHARE_OF_PRODUCTS,
    Network,
    card_of,
    known_cards,
)


def test_every_card_says_where_its_numbers_are_from():
    assert known_cards() == ["a100-40g", "a100-80g", "h100", "h200", "4090", "t4", "cpu"]
    for name, card in CARDS.items():
        assert name == card.name and "NVIDIA" in card.source
        assert card.flop_per_s["float32"] < card.flop_per_s.get("bfloat16", 1e15)
        assert card.usable_gib == card.gib - card.reserved_gib > 0


def test_a_share_of_ones_own_replaces_the_assumed():
    assert card_of("h100").products("bfloat16") == SHARE_OF_PRODUCTS * 989e12
    assert card_of("h100", share=0.6).products("bfloat16") == 0.6 * 989e12


def test_a_card_without_a_precision_says_what_it_has():
    with pytest.raises(ValueError, match="the card t4 has no bfloat16; set precision to float32"):
        card_of("t4").products("bfloat16")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("v100",), "no card is called 'v100'; choose one of a100-40g"),
        (("h100", 1.2), "share is 1.2; products reach a share"),
    ],
)
def test_what_cannot_be_is_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        card_of(*given)


def test_between_machines_the_network_sets_the_pace():
    a100 = CARDS["a100-40g"]
    assert CLUSTER.bytes_per_s(a100, 8) == a100.link
    assert CLUSTER.bytes_per_s(a100, 9) == 25e9
    assert Network(gb_per_s=1e6).bytes_per_s(a100, 9) == a100.link


@pytest.mark.parametrize("name", ["gpus_per_machine", "gb_per_s", "latency_s"])
def test_a_network_without_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; it has to be above 0"):
        Network(**{name: 0})
