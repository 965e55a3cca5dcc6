"""Evaluation sets of all six types, written as ../shared/data/eval lays them out: TYPE/NAME/….parquet.

Only evaluation wordings are used, so no sentence pattern here was ever trained on; the questions of the
written articles stand here and nowhere else.  Columns named truth_… say what each row was made from.
"""

from pathlib import Path

import polars as pl

from cpack_lib.corpus.world import retrieval, similarity, topics

LAYOUT = {
    "retrieval/world_facts": retrieval.fact_tables,
    "retrieval/world_articles": retrieval.article_tables,
    "retrieval/world_cross": retrieval.cross_tables,
    "reranking/world_rerank": similarity.rerank_tables,
    "sts/world_sts": similarity.graded_tables,
    "pairclass/world_entail": similarity.entail_tables,
    "classification/world_domain": topics.domain_tables,
    "classification/world_intent": topics.intent_tables,
    "clustering/world_topics": topics.topic_tables,
}
ENGLISH_LAYOUT = {
    "retrieval/world_facts_en": retrieval.english_fact_tables,
    "retrieval/world_articles_en": retrieval.english_article_tables,
    "sts/world_sts_en": similarity.english_graded_tables,
}


def write_evaluation(folder: Path | str, seed: int = 0) -> dict[str, dict[str, int]]:
    """Write the Chinese and cross-lingual sets under a folder -> rows of every table of every set."""
    return write_sets(Path(folder), LAYOUT, seed)


def write_english_evaluation(folder: Path | str, seed: int = 0) -> dict[str, dict[str, int]]:
    """Write the English sets under a folder -> rows of every table of every set."""
    return write_sets(Path(folder), ENGLISH_LAYOUT, seed)


def write_sets(folder: Path, layout: dict, seed: int) -> dict[str, dict[str, int]]:
    """Write every set of a layout; sets that have no rows (no articles, say) are an error."""
    counts = {}
    for place, make in layout.items():
        tables: dict[str, pl.DataFrame] = make(seed)
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            if table.is_empty():
                raise ValueError(f"{place}/{name} is empty: install the data files of cpack_lib/corpus/world")
            table.write_parquet(folder / place / f"{name}.parquet")
        counts[place] = {name: table.height for name, table in tables.items()}
    return counts
