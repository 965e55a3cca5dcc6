"""What the recipe knows of English pages: rows that its patterns catch, and rows that only look like them."""

import polars as pl
import pytest

from cpack_lib.corpus.clean.contamination import Unquoted
from cpack_lib.corpus.clean.evaluation_index import RUN, indexed
from cpack_lib.corpus.clean.rule import LINES, PAIRS, TEXTS
from cpack_lib.corpus.clean.rules import chosen, chosen_repairs
from cpack_lib.corpus.curate import curate
from cpack_lib.corpus.languages import language
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.structure.pairs import cut, entity_description, heading_section, headline_summary

ENGLISH = language("en")
RULES = {rule.name: rule for rule in chosen(["language=en"])}
MASK = next(repair for repair in chosen_repairs(["language=en"]) if repair.name == "masked").mend
LONG = (
    "The jar must be washed and dried, the cabbage cut, the brine boiled and left to cool; then it is sealed."
)
ROWS = {  # of every rule that knows words: texts that it sets aside, and texts that look like them and stay
    "site": (
        [
            "Copyright © 2024 The Little Almanac",
            "Read more...",
            "Log in to read the whole article.",
            "Previous page: none. Next page: none.",
            "Posted by the editors on Monday",
        ],
        [
            "He had read more than a thousand books.",
            "The next page of her life began in Rome.",
            "Copyright protects the form of a work, not its idea.",
            "The log in the fire was oak.",
            "As long as you are here, we might as well begin.",
        ],
    ),
    "contact": (
        [
            "Call us on 200-555-0199",
            "Questions? editor7@example.com",
            "Tel: +44 00 0555 0199",
            "Telegram: @example_7, say where you come from",
            "Telephone: [telephone]",
        ],
        [
            "The war lasted from 1914 to 1918.",
            "In 2019 some 200 555 people came.",
            "Call it what you like.",
            "A ratio of 3.14159 to 1",
            "Version 2.10.300 of the program",
        ],
    ),
    "advert": (
        [
            "Click here for the coupon!",
            "Today only: half the price.",
            "Buy one and get one free",
            "Order now, free shipping",
            "only eight places left",
        ],
        [
            "The switch makes a click here and there.",
            "They buy one loaf a day.",
            "It is free of charge there.",
            "The order now in force dates from 1804.",
            "Take the lid off every morning.",
            "Hurry, or you will miss the train.",
            "I am reading a book now.",
        ],
    ),
    "spam": (
        ["online casino with free spins, " * 4, "Payday loan, no credit check. Hot singles. " * 3],
        ["The online casino was closed by the police, who had watched it for years. " * 3, LONG * 3],
    ),
}
FAR = "房子前面有一棵大树。"
SIDES = {
    "english sides": ([(FAR, "在春天开花")], [(FAR, LONG), (LONG, FAR)]),
    "contact sides": (
        [("Who helps?", "Ring 200-555-0199"), ("Mail: a@example.com", LONG)],
        [("Who helps?", LONG + " " + LONG + " 200-555-0199"), ("Who won in 1966?", "England")],
    ),
    "long sides": ([("a", "b" * 8001), ("b" * 8001, "a")], [("a", "b" * 8000), ("b" * 8000, "a")]),
    "spam sides": (
        [("online casino", "free spins, viagra, hot singles")],
        [("What is an online casino?", "An online casino is a casino on the web. " * 3)],
    ),
}
MASKED = {
    "Write to jo.smith+x@mail.example.org.": "Write to [mail].",
    "jo (at) example.com": "[mail]",
    "Call 200-555-0199 or (200) 555-0198 today": "Call [telephone] or [telephone] today",
    "Phone: +44 20 7946 0958": "Phone: [telephone]",
    "My SSN is 078-05-1120.": "My SSN is [identity number].",
    "Passport no. AB1234567": "Passport no. [identity number]",
    "card 4111 1111 1111 1111 expired": "card [account] expired",
    "IBAN: DE89 3704 0044 0532 0130 00": "IBAN: [account]",
    "account number 1234567890": "account number [account]",
    "Skype: live.jo_smith": "Skype: [account]",
}
KEPT = [
    "In 1804-1815 there were 200 555 men",
    "The ISBN is 978-3-16-148410-0",
    "Pi is 3.14159265358979",
    "233 377 610 987 1597",
    "Removed @asyncio.coroutine, a decorator.",
    "git@github.com:user/project",
    "From 9:00 to 17:00 on 2024-05-03",
    "On account of 12 others",
    "a call 3 minutes long",
    "",
]
NAMED = {
    "Photosynthesis is the process by which plants turn light into sugar.": "Photosynthesis",
    "The cheetah is the fastest runner on land by a wide margin.": "cheetah",
    "An otoscope (from Greek) is an instrument that shows the ear.": "otoscope",
    "Green tea refers to leaves that were never left to wither.": "Green tea",
    "Marie Curie was a physicist who won two Nobel prizes.": "Marie Curie",
}
UNNAMED = [
    "It is a good idea to wash the jar first.",
    "This is the end of a long story about rice.",
    "The problem is a lack of water in the dry months.",
    "There is a river behind the old mill.",
    "What is a river, and where does it come from?",
    "value is a string that names the field to remove.",
    "Setting it to None means that there is no limit.",
    "Rice is eaten all over the world by many people.",
    "One of the oldest is the bridge over the river.",
    "",
]


def judged(name: str, texts: list[str]) -> list[bool]:
    return RULES[name].judge(pl.DataFrame({"text": texts}, schema={"text": pl.String})).to_list()


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_sets_its_texts_aside_and_keeps_those_that_look_like_them(name):
    aside, stay = ROWS[name]
    assert judged(name, aside) == [False] * len(aside)
    assert judged(name, stay) == [True] * len(stay)


@pytest.mark.parametrize(
    "name", [name for name, rule in RULES.items() if rule.stage == LINES and name in ROWS]
)
def test_a_long_line_stays_for_what_else_it_holds(name):
    long = f"{ROWS[name][0][0]} {LONG * 4}"
    assert judged(name, [long]) == [True]


@pytest.mark.parametrize("name", SIDES)
def test_a_rule_of_pairs_looks_at_both_sides(name):
    for rows, stays in zip(SIDES[name], (False, True), strict=True):
        frame = pl.DataFrame(rows, schema=["text_a", "text_b"], orient="row")
        assert RULES[name].stage == PAIRS and RULES[name].judge(frame).to_list() == [stays] * len(rows)


@pytest.mark.parametrize("text", MASKED)
def test_personal_data_are_masked(text):
    mended = pl.DataFrame({"text": [text]}).select(MASK(pl.col("text"))).item()
    assert mended == MASKED[text]
    assert MASK(pl.lit(mended)).pipe(pl.select).item() == mended, "a mask is masked again"


def test_other_numbers_stay():
    assert pl.DataFrame({"text": KEPT}).select(MASK(pl.col("text"))).to_series().to_list() == KEPT


def lines(*texts: str, title: str = "") -> pl.DataFrame:
    """The blocks of one page in the section of its title."""
    rows = [{"kind": "text", "text": text, "turn": 0, "section": 0} for text in texts]
    return pl.DataFrame(rows).with_columns(document=pl.lit(0), source=pl.lit("s"), title=pl.lit(title))


def test_a_definition_gives_its_name_and_other_sentences_none():
    made = entity_description(lines(*NAMED, *UNNAMED), ENGLISH)
    assert dict(made.select("text_b", "text_a").iter_rows()) == NAMED
    assert entity_description(lines(*NAMED)).is_empty(), "Chinese forms found an English name"


@pytest.mark.parametrize(
    "line", ["LONDON, May 3 (Reuters) - ", "KHARTOUM, Sudan (AP) -- ", "(Xinhua) — ", "NEW YORK, Sept. 12 – "]
)
def test_news_gives_its_headline_and_its_first_paragraph_without_the_dateline(line):
    lead = (
        "The old bridge over the river was opened again on Monday, after two years of repairs and much rain."
    )
    story = lines(line + lead, LONG, LONG, title="Bridge opens again")
    assert headline_summary(story, ENGLISH).select("text_a", "text_b").rows() == [
        ("Bridge opens again", lead)
    ]
    assert headline_summary(lines(lead, LONG, LONG, title="Bridge"), ENGLISH).is_empty()
    assert headline_summary(story).is_empty(), "Chinese forms found an English dateline"


def test_a_section_is_headed_and_a_long_text_cut_as_english_writes():
    rows = [("heading", "Storage"), ("text", LONG)]
    blocks = pl.DataFrame(rows, schema=["kind", "text"], orient="row").with_columns(
        document=pl.lit(0), source=pl.lit("s"), title=pl.lit("Kimchi"), section=pl.lit(1), turn=pl.lit(0)
    )
    assert heading_section(blocks, ENGLISH)["text_a"].to_list() == ["Kimchi: Storage"]
    text = pl.lit("Rice grows in 3.5 months. It needs water and more")
    assert pl.select(cut(text, 40, ENGLISH)).item() == "Rice grows in 3.5 months."
    assert pl.select(cut(text, 40)).item() == "Rice grows in 3.5 months. It needs water"


def test_ten_words_prove_contamination_where_five_do_not(tmp_path):
    name, question = (
        "the run of forty-two kilometres",
        "which instrument did the old watchmaker from the valley lend",
    )
    texts = pl.DataFrame({"text": [f"he finished {name}", f"now tell us {question} to his apprentice"]})
    judged = {}
    for code in ("en", "zh"):
        rule = Unquoted(TEXTS, indexed([("search", pl.Series([name, question]))], tmp_path, code))
        run = RUN * language(code).spread
        assert rule.evaluation.run == run and f"runs of {run} characters" in rule.reason
        judged[code] = rule.judge(texts).to_list()
    assert judged == {"en": [True, False], "zh": [False, False]}
    assert len(list(tmp_path.iterdir())) == 2, "both languages have the same index"


def test_english_pages_of_the_world_lose_what_is_planted(tmp_path):
    raw = open_table("world:documents@en", "documents", 1_500, seed=3)
    rules, repairs = chosen(["language=en"]), chosen_repairs(["language=en"])
    funnel = curate(raw, [], tmp_path, rules, repairs=repairs, code="en")
    sums = funnel.filter(pl.col("stage") == "lines").group_by("rule").agg(pl.col("rows_in", "rows_out").sum())
    lost = {rule: rows_in - rows_out for rule, rows_in, rows_out in sums.iter_rows()}
    assert lost["site"] > 50 and lost["contact"] > 50 and lost["advert"] > 100
    pairs = pl.read_parquet(tmp_path / "pairs")
    text = "\n".join([*pairs["text_a"], *pairs["text_b"]])
    planted = ("200-555", "(200) 555", "@example", "buy one and get one", "uses cookies")
    assert not any(line in text for line in planted)
    assert {"heading_section", "question_answer", "title_body"} <= set(pairs["kind"])
