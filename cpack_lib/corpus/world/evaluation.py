"""Evaluation sets of all six types, written as ../shared/data/eval lays them out: TYPE/NAME/….parquet.

Only evaluation wordings are used, so no sentence pattern here was ever trained on; the questions of the
written articles stand here and nowhere else.  Columns named truth_… say what each row was made from.
"""

from functools import partial
from pathlib import Path

import polars as pl

from cpack_lib.corpus.world import retrieval, similarity, topics

CHINESE = {
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
LAYOUTS = {  # language -> place of each set -> its maker; only the Chinese has one in two languages
    "zh": CHINESE,
    "en": {
        f"{place}_en": partial(make, language="en")
        for place, make in CHINESE.items()
        if make is not retrieval.cross_tables
    },
}


def write_evaluation(folder: Path | str, seed: int = 0, language: str = "zh") -> dict[str, dict[str, int]]:
    """Write the sets of a language under a folder -> rows of every table of every set.

    Sets that have no rows (no articles, say) are an error.
    """
    if language not in LAYOUTS:
        raise ValueError(f"no evaluation in {language!r}: choose from {', '.join(LAYOUTS)}")
    counts = {}
    for place, make in LAYOUTS[language].items():
        tables: dict[str, pl.DataFrame] = make(seed)
        path = Path(folder) / place
        path.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            if table.is_empty():
                raise ValueError(f"{place}/{name} is empty: install the data files of cpack_lib/corpus/world")
            table.write_parquet(path / f"{name}.parquet")
        counts[place] = {name: table.height for name, table in tables.items()}
    return counts
