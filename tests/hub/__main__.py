"""`python -m tests.hub`: all of cmteb-35 with BM25 over the hub on this machine, as one line of JSON."""

import json
import tempfile
from pathlib import Path

from tests.hub.asking import evaluate_over
from tests.hub.layouts import cmteb_repositories
from tests.hub.server import Hub

with tempfile.TemporaryDirectory() as folder, Hub(cmteb_repositories()) as hub:
    place = Path(folder)
    settings = hub.environment(place / "cache") | {"CPACK_EVALUATION": str(place / "copies")}
    found = evaluate_over(settings, ["bm25"], "cmteb-35", place)
    tasks = {task for _, task, _, _ in found["scores"]}
    print(json.dumps({"tasks_run_on_loopback_hub": len(tasks), "seconds": round(found["seconds"], 1)}))
