"""datatrove's MinHash in its four stages over a folder of Parquet files, by the Python that has datatrove.

It gets a JSON object as its argument: texts and place (folders), unit (words or characters), n, buckets,
hashes, numbers (whether all are made one), workers. It prints one as its last line.
"""

import json
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.text import TextNormConfig
from datatrove.utils.typeshelper import Languages


class Characters:
    """A tokenizer whose words are single characters, white space left out."""

    def word_tokenize(self, text: str) -> list[str]:
        """The characters of a text."""
        return list("".join(text.split()))


def pipelines(
    texts: str, place: str, unit: str, n: int, buckets: int, hashes: int, numbers: bool, workers: int
) -> list[LocalPipelineExecutor]:
    """Signatures, buckets, clusters, filter; each file is a task."""
    norm = TextNormConfig(norm_numbers=numbers)
    config = MinhashConfig(n_grams=n, num_buckets=buckets, hashes_per_bucket=hashes, norm_config=norm)
    files = len(list(Path(texts).glob("*.parquet")))
    sign = MinhashDedupSignature(f"{place}/signatures", config, Languages.mandarin_chinese)
    if unit == "characters":
        sign.word_tokenizer = Characters()
    bucket = MinhashDedupBuckets(f"{place}/signatures", f"{place}/buckets", config=config)
    cluster = MinhashDedupCluster(f"{place}/buckets", f"{place}/clusters", config, save_cluster_id=True)
    keep = [MinhashDedupFilter(f"{place}/clusters"), ParquetWriter(f"{place}/kept")]
    stages = [  # steps, tasks
        ([ParquetReader(texts), sign], files),
        ([bucket], buckets),
        ([cluster], 1),
        ([ParquetReader(texts), *keep], files),
    ]
    return [
        LocalPipelineExecutor(
            steps, tasks=tasks, workers=min(tasks, workers), logging_dir=f"{place}/logs/{i}"
        )
        for i, (steps, tasks) in enumerate(stages)
    ]


def main(given: dict) -> None:
    """Run the stages one after the other, and tell the seconds of each."""
    seconds = []
    for executor in pipelines(**given):
        started = time.perf_counter()
        executor.run()
        seconds.append(round(time.perf_counter() - started, 2))
    print(json.dumps({"seconds": sum(seconds), "stages": seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
