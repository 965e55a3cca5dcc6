"""What a cluster is made of: cards, what one holds and does, and the network between their machines.

Peaks are from data sheets; what share of them is reached is assumed, one assumption for all GPUs. With it the
plan of a BERT-large on an A100-40G comes within a tenth of what NVIDIA measured (`published`). Your own
measurement goes before: `cpack plan --share`.
"""

from dataclasses import dataclass, replace

SHARE_OF_PRODUCTS, SHARE_OF_BANDWIDTH = 0.5, 0.7  # assumed of every GPU
RESERVED_GIB = 2.0  # assumed: the driver's context, and what the allocator holds and cannot hand out
TERA, GIGA = 1e12, 1e9


@dataclass(frozen=True)
class Card:
    """What stands in one place of a cluster."""

    name: str
    gib: float  # memory that PyTorch sees
    flop_per_s: dict[str, float]  # peak of dense products, by precision; what is not named it cannot do
    bytes_per_s: float  # of its memory, between products
    stream: float  # bytes/s of plain copies and sums
    link: float  # bytes/s to another card of the same machine, one direction
    source: str
    share_of_products: float = SHARE_OF_PRODUCTS
    share_of_bandwidth: float = SHARE_OF_BANDWIDTH
    reserved_gib: float = RESERVED_GIB
    fused: bool = True  # attention is one kernel that keeps no scores
    overhead: float = 1.0  # memory taken for each byte of tensors

    @property
    def usable_gib(self) -> float:
        """What the tensors of a step may fill."""
        return max(0.0, self.gib - self.reserved_gib) / self.overhead

    def products(self, precision: str) -> float:
        """FLOP/s that products reach; ValueError where the card does not have the precision."""
        if precision not in self.flop_per_s:
            raise ValueError(
                f"the card {self.name} has no {precision}; set precision to {' or '.join(self.flop_per_s)}"
            )
        return self.share_of_products * self.flop_per_s[precision]

    def passes(self) -> float:
        """Bytes/s that are read and written between products."""
        return self.share_of_bandwidth * self.bytes_per_s

    def sums(self) -> float:
        """Bytes/s of plain copies and sums."""
        return self.share_of_bandwidth * self.stream


def gpu(
    name: str, gib: float, bfloat16: float | None, float32: float, bandwidth: float, link: float, source: str
) -> Card:
    """A GPU from its data sheet: GiB, TFLOP/s of each precision, GB/s of its memory and of its link."""
    peaks = {"bfloat16": bfloat16, "float32": float32}
    known = {precision: peak * TERA for precision, peak in peaks.items() if peak}
    return Card(name, gib, known, bandwidth * GIGA, bandwidth * GIGA, link * GIGA, source)


NVLINK_3, NVLINK_4, PCIE_4, PCIE_3 = 300, 450, 32, 16  # GB/s in one direction
CARDS = {
    card.name: card
    for card in (
        gpu("a100-40g", 39.5, 312, 19.5, 1_555, NVLINK_3, "NVIDIA A100 data sheet, SXM4 40 GB"),
        gpu("a100-80g", 79.2, 312, 19.5, 2_039, NVLINK_3, "NVIDIA A100 data sheet, SXM4 80 GB"),
        gpu("h100", 79.1, 989, 67, 3_350, NVLINK_4, "NVIDIA H100 data sheet, SXM5, without sparsity"),
        gpu("h200", 139.8, 989, 67, 4_800, NVLINK_4, "NVIDIA H200 data sheet, SXM, without sparsity"),
        gpu("4090", 23.6, 165.2, 82.6, 1_008, PCIE_4, "NVIDIA Ada whitepaper, GeForce RTX 4090, dense"),
        gpu("t4", 14.7, None, 8.1, 320, PCIE_3, "NVIDIA T4 data sheet; its float16 is not used here"),
    )
}
HERE = "cpu"  # this machine's processor, measured when it is asked for


@dataclass(frozen=True)
class Network:
    """How machines are connected; assumed, for every cluster is another."""

    gpus_per_machine: int = 8
    gb_per_s: float = 25.0  # of a machine's link, one direction: 200 Gbit/s
    latency_s: float = 5e-6  # of a message between neighbours

    def __post_init__(self):
        for name in ("gpus_per_machine", "gb_per_s", "latency_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be above 0")

    def bytes_per_s(self, card: Card, gpus: int) -> float:
        """Of the slowest link in a ring of so many GPUs."""
        return card.link if gpus <= self.gpus_per_machine else min(card.link, self.gb_per_s * GIGA)


CLUSTER = Network()


def known_cards() -> list[str]:
    """The names that `card_of` takes."""
    return [*CARDS, HERE]


def card_of(name: str, share: float = 0.0) -> Card:
    """A card of the table by its name; `share` of the peak that products reach replaces the assumed one."""
    if name not in CARDS:
        raise ValueError(f"no card is called {name!r}; choose one of {', '.join(known_cards())}")
    if not 0 <= share <= 1:
        raise ValueError(
            f"share is {share}; products reach a share of the peak from 0 to 1, 0 for the assumed"
        )
    return replace(CARDS[name], share_of_products=share) if share else CARDS[name]
