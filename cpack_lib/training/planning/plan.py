"""`cpack plan`: what a run will cost in memory, hours and money, and what fits, before it is submitted."""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from cpack_lib.training.planning.cluster import HERE, Card, Network, card_of, known_cards
from cpack_lib.training.planning.fits import fewest_gpus, fits, largest_chunk, quickest, ways
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.machine import this_machine
from cpack_lib.training.planning.memory import parts_at_peak, peak_gib
from cpack_lib.training.planning.published import CARD, PAPER_RUNS, PaperRun
from cpack_lib.training.planning.seconds import cost_of, seconds, step_s, utilisation
from cpack_lib.work.measure import GIB

PRICE = 2.0  # of a GPU for an hour: an example
ASKED = {  # field of a job or of the network -> what the help says
    "size": "of the encoder: nano, wide, small, base or large",
    "stage": "contrast (also fine-tuning, with --passages) or retromae",
    "batch": "pairs of a step, or texts of RetroMAE, all GPUs together",
    "query_tokens": "of a query, with [CLS] and [SEP]",
    "passage_tokens": "of a passage, or of a text of RetroMAE",
    "passages": "of a query: its answer and its mined negatives",
    "gpus": "that share a step",
    "steps": "of the whole run",
    "precision": "of the matrix products: bfloat16 or float32",
    "dropout": "share of states dropped",
    "tokens_per_chunk": "embedded at a time",
    "activations_gib": "kept for the way back; what does not fit is embedded twice",
    "words": "of the vocabulary",
    "recompute": "keep each layer's input alone",
    "both_ways": "contrast passages with queries, too",
    "gpus_per_machine": "joined by the cards' own links",
    "gb_per_s": "between machines, in one direction",
}
GAP = "  "  # between columns


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked."""
    defaults = {each.name: each.default for kind in (Job, Network) for each in fields(kind)}
    for name, said in ASKED.items():
        flag, usual = f"--{name.replace('_', '-')}", defaults[name]
        if isinstance(usual, bool):
            parser.add_argument(flag, action="store_true", help=said)
        else:
            parser.add_argument(flag, type=type(usual), default=usual, help=f"{said} (default: {usual})")
    parser.add_argument("--card", default=CARD, help=f"{', '.join(known_cards())} (default: {CARD})")
    parser.add_argument("--price", type=float, default=PRICE, help=f"of a GPU's hour (default: {PRICE})")
    parser.add_argument("--share", type=float, default=0.0, help="of the peak that products reach, measured")
    parser.add_argument("--paper", action="store_true", help="the paper's three runs, and who said what")


def run(options: argparse.Namespace) -> int:
    """Print the plan; 0 where a step as asked fits into the card, 1 where it does not."""
    job, network = (asked_of(kind, options) for kind in (Job, Network))
    if options.paper:
        card = card_of(options.card, options.share)
        print("\n\n".join(told_run(each, card, options.price, network) for each in PAPER_RUNS))
        return 0
    card = chosen(options.card, options.share, job)
    print(told(job, card, options.price, network))
    return 0 if fits(job, card) else 1


def asked_of(kind: type, options: argparse.Namespace):
    """A job, or a network, as it was asked for."""
    names = {each.name for each in fields(kind)}
    return kind(**{name: getattr(options, name) for name in ASKED if name in names})


def chosen(name: str, share: float, job: Job) -> Card:
    """The card of a job; `cpu` is measured, which takes seconds."""
    if name != HERE:
        card = card_of(name, share)
        card.products(job.precision)  # refuses what it does not have
        return card
    if job.gpus != 1:
        raise ValueError(
            f"{job.gpus} GPUs of the card {HERE} are {job.gpus} machines like this one; set gpus to 1"
        )
    return this_machine(job)


def told(job: Job, card: Card, price: float, network: Network) -> str:
    """The whole plan of a job on a card."""
    held = {part: size / GIB for part, size in parts_at_peak(job, card.fused).items()}
    taken = {part: value for part, value in seconds(job, card, network).items() if value}
    fit = "It fits" if fits(job, card) else "It does not fit"
    return "\n\n".join(
        [
            heading(job, card),
            added_up("memory of a GPU", "GiB", held, 2),
            f"{fit}: tensors may fill {card.usable_gib:.1f} GiB of {card.gib:.1f}.",
            added_up("a step", "seconds", taken, 4),
            charged(job, card, price, network),
            other_ways(job, card, price, network),
            rests_on(card, network, job),
        ]
    )


def told_run(run: PaperRun, card: Card, price: float, network: Network) -> str:
    """One run of the paper: what it costs, and who said what."""
    gib, step = peak_gib(run.job, card.fused), step_s(run.job, card, network)
    lines = [run.name.upper(), heading(run.job, card), table(["parameter", "value", "said by"], run.facts)]
    held = f"{gib:.1f} GiB of a GPU, {step:.2f} seconds a step"
    return "\n".join([*lines, held, charged(run.job, card, price, network)])


def heading(job: Job, card: Card) -> str:
    """What is planned, in one line."""
    texts = f"{job.batch:,} texts of {job.passage_tokens} tokens"
    if job.stage == "contrast":
        texts = f"{job.batch:,} pairs of {job.query_tokens} and {job.passage_tokens} tokens"
        texts += f", {job.passages} passages each" if job.passages > 1 else ""
    where = f"on {job.gpus:,} × {card.name}"
    return f"{job.stage}, {job.size}, {job.steps:,} steps of {texts}, {job.precision}, {where}"


def charged(job: Job, card: Card, price: float, network: Network) -> str:
    """Hours and money of the run, in one line."""
    cost, used = cost_of(job, card, price, network), utilisation(job, card, network)
    return (
        f"{cost.hours:,.1f} hours, {cost.gpu_hours:,.0f} GPU-hours, {cost.money:,.0f} at {price:g} an hour; "
        f"{cost.tokens_per_s:,.0f} tokens/s, {used:.0%} of the card's peak put to use"
    )


def other_ways(job: Job, card: Card, price: float, network: Network) -> str:
    """The ways to make the same step, and what could be changed."""
    rows = []
    for name, way in ways(job).items():
        gib, step = peak_gib(way, card.fused), step_s(way, card, network)
        hours = cost_of(way, card, price, network).hours
        row = [name, f"{gib:.1f}", "yes" if fits(way, card) else "no", f"{step:.2f}", f"{hours:,.1f}"]
        rows.append(row)
    best, fewest = quickest(job, card, network), fewest_gpus(job, card)
    lines = [
        f"quickest that fits: {best}" if best else "no way fits; take a smaller size, batch or chunk",
        f"largest chunk that fits, embedded twice: {largest_chunk(job, card):,} tokens",
        f"fewest GPUs on which a way fits: {fewest:,}" if fewest else "no number of GPUs holds this batch",
    ]
    return "\n".join([table(["the same step", "GiB", "fits", "seconds", "hours"], rows), *lines])


def rests_on(card: Card, network: Network, job: Job) -> str:
    """What the plan rests on."""
    if card.name == HERE:
        rates = ", ".join(f"{name} {rate / 1e9:,.0f} GFLOP/s" for name, rate in card.flop_per_s.items())
        between = f"{card.bytes_per_s / 1e9:.1f} GB/s between products"
        return f"Measured here: {rates}, {between}; too low if anything else was running."
    lines = [
        f"Peaks: {card.source}. Assumed: products reach {card.share_of_products:.0%} of the peak,",
        f"passes over memory {card.share_of_bandwidth:.0%} of its bandwidth; {card.reserved_gib:g} GiB go to "
        "driver and allocator.",
    ]
    if job.gpus > 1:
        machine = f"{network.gpus_per_machine} GPUs a machine, {network.gb_per_s:g} GB/s between machines."
        lines.append(f"Network: {machine}")
    return "\n".join(lines)


def added_up(name: str, unit: str, parts: dict[str, float], decimals: int) -> str:
    """Parts and their sum, in columns."""
    rows = [*parts.items(), ("together", sum(parts.values()))]
    return table([name, unit], [(part, f"{value:,.{decimals}f}") for part, value in rows])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their heads; columns of numbers to the right."""
    columns = list(zip(heads, *rows, strict=True))
    lined_up = []
    for head, *cells in columns:
        width, right = max(map(len, (head, *cells))), all(map(is_number, cells))
        lined_up.append([cell.rjust(width) if right else cell.ljust(width) for cell in (head, *cells)])
    return "\n".join(GAP.join(line).rstrip() for line in zip(*lined_up, strict=True))


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    return cell.replace(",", "").replace(".", "").isdigit()
