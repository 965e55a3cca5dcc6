"""Retrieval sets: questions in one set of words, passages that answer them in another.

`world_facts` asks with a nickname or a description for a fact that its passage states of another name;
`world_articles` puts written questions to written articles; `world_cross` asks Chinese passages in English.
"""

from random import Random

import polars as pl

from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.corpus.world.chance import dice
from cpack_lib.corpus.world.facts import Attribute, Entity, all_entities
from cpack_lib.corpus.world.labelled import is_held_out
from cpack_lib.corpus.world.pairs import fact_id
from cpack_lib.corpus.world.wording import Voice, marked, voice

FACT_PASSAGES = 2_600  # passages with one fact each, beside the overviews
FACT_QUERIES = 600
CROSS_PASSAGES = 1_400
CROSS_QUERIES = 400
OVERVIEW_SHARE = 0.25  # of entities with a passage that states all their facts
FAR_NAME_SHARE = 0.5  # of queries that use the name least like the passage's
Fact = tuple[Entity, Attribute]
Tables = dict[str, pl.DataFrame]


def all_facts() -> list[Fact]:
    """Every (entity, attribute) with a value."""
    return [(entity, attribute) for entity in all_entities() for attribute in entity.attributes]


def far_name(entity: Entity, name: str, language: str = "zh") -> str:
    """The designation, other than the name if there is one, that shares the fewest characters with a name."""
    others = [each for each in entity.designations[language] if each != name] or [name]
    return min(others, key=lambda other: len(set(other) & set(name)) / len(set(other)))


def fact_passage(rng: Random, tongue: Voice, fact: Fact, name: str) -> str:
    """A passage that states one fact of an entity called `name`."""
    passage = tongue.sentence(rng, tongue.state(rng, *fact, name=name))
    return tongue.join(passage, tongue.filler(rng)) if rng.random() < 0.5 else passage


def fact_corpus(rng: Random, tongue: Voice, facts: list[Fact]) -> tuple[list[dict], dict[str, list[str]]]:
    """Passages of one fact each, overviews of some entities -> corpus rows, and fact -> its passages' ids."""
    rows, stated = [], {}
    chosen: dict[str, list[Fact]] = {}
    for fact in facts:
        chosen.setdefault(fact[0].id, []).append(fact)
    for group in chosen.values():
        for fact in group:
            name = tongue.name(rng, fact[0])
            passage = fact_passage(rng, tongue, fact, name)
            rows.append({"text": passage, "truth": [fact_id(*fact)], "name": name})
        if rng.random() < OVERVIEW_SHARE:
            entity, attributes = group[0][0], [attribute for _, attribute in group]
            rows.append(
                {
                    "text": tongue.describe(rng, entity, attributes),
                    "name": "",
                    "truth": [fact_id(entity, attribute) for attribute in attributes],
                }
            )
    rng.shuffle(rows)
    for number, row in enumerate(rows):
        row["id"] = f"p{number}"
        for fact in row["truth"]:
            stated.setdefault(fact, []).append(row["id"])
    return rows, stated


def assemble(corpus: list[dict], queries: list[dict], relevant: list[tuple[str, str]]) -> Tables:
    """The three tables of a retrieval set; every relevant passage has score 1."""
    texts = pl.DataFrame(
        {
            "id": [row["id"] for row in corpus],
            "text": [row["text"] for row in corpus],
            "truth_facts": [row["truth"] for row in corpus],
        }
    )
    asked = pl.DataFrame(
        queries,
        schema={"id": pl.String, "text": pl.String, "truth_fact": pl.String, "truth_held_out": pl.Boolean},
    )
    judged = pl.DataFrame(
        {
            "qid": [qid for qid, _ in relevant],
            "pid": [pid for _, pid in relevant],
            "score": [1] * len(relevant),
        }
    )
    return {"corpus": texts, "queries": asked, "qrels": judged}


def fact_queries(rng: Random, tongue: Voice, facts: list[Fact], names: dict[str, str]) -> list[dict]:
    """One question for each fact, mostly with a name far from the one its passage uses."""
    queries = []
    for number, fact in enumerate(facts):
        truth, entity = fact_id(*fact), fact[0]
        far = tongue.language == "zh" and rng.random() < FAR_NAME_SHARE
        name = far_name(entity, names[truth]) if far else tongue.name(rng, entity)
        question = tongue.question(rng, *fact, name=name)
        queries.append(
            {"id": f"q{number}", "text": question, "truth_fact": truth, "truth_held_out": is_held_out(truth)}
        )
    return queries


def fact_set(
    seed: int, title: str, asking: Voice, answering: Voice, sizes: tuple[int, int], extra: list[dict]
) -> Tables:
    """A retrieval set about facts: (passages, queries) of the given sizes, beside extra passages."""
    rng = dice(seed, title, 0)
    facts = rng.sample(all_facts(), min(sizes[0], len(all_facts())))
    corpus, stated = fact_corpus(rng, answering, sorted(facts, key=lambda fact: fact_id(*fact)))
    names = {row["truth"][0]: row["name"] for row in corpus if row["name"]}
    queries = fact_queries(rng, asking, rng.sample(facts, min(sizes[1], len(facts))), names)
    relevant = [(query["id"], pid) for query in queries for pid in stated[query["truth_fact"]]]
    return assemble(corpus + extra, queries, relevant)


def fact_tables(seed: int, language: str = "zh") -> Tables:
    """world_facts: questions and passages of one language."""
    tongue, title = voice(language, "evaluation"), marked("world_facts", language)
    return fact_set(seed, title, tongue, tongue, (FACT_PASSAGES, FACT_QUERIES), [])


def article_rows(language: str) -> tuple[list[dict], list[dict], list[tuple[str, str]]]:
    """The written articles in a language as corpus rows, query rows and relevant pairs."""
    corpus, queries, relevant = [], [], []
    for article in all_articles():
        version = article if language == "zh" else article.english
        if version is None:
            continue
        corpus.append({"id": article.id, "text": version.text, "truth": [f"articles/{article.id}"]})
        for number, question in enumerate(version.questions):
            queries.append(
                {
                    "id": f"{article.id}-{language}{number}",
                    "text": question,
                    "truth_fact": f"articles/{article.id}",
                    "truth_held_out": True,
                }
            )
            relevant.append((queries[-1]["id"], article.id))
    return corpus, queries, relevant


def article_tables(seed: int, language: str = "zh") -> Tables:
    """world_articles: every question against every article of a language; the seed changes nothing."""
    del seed
    return assemble(*article_rows(language))


def cross_tables(seed: int) -> Tables:
    """world_cross: English questions about facts and articles; passages and articles in Chinese."""
    articles, (_, questions, relevant) = article_rows("zh")[0], article_rows("en")
    tables = fact_set(
        seed,
        "world_cross",
        voice("en", "evaluation"),
        voice("zh", "evaluation"),
        (CROSS_PASSAGES, CROSS_QUERIES),
        articles,
    )
    more = assemble(articles, questions, relevant)
    return {
        "corpus": tables["corpus"],
        "queries": pl.concat([tables["queries"], more["queries"]]),
        "qrels": pl.concat([tables["qrels"], more["qrels"]]),
    }
