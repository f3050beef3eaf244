"""The process that does one task: ``python -m suite.worker STORE TASK MODEL RUNS``, one line of JSON out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from suite.models import Store
from suite.tasks import TASKS, default_runs


def main(folder: str, task: str, model: str, runs: str) -> None:
    store = Store(Path(folder))
    if task == "prepare":
        store.prepare(model)
        result = {"transitions": float(store.transitions(model))}
    else:
        wanted = int(runs) or default_runs(store.transitions(model))
        result = TASKS[task](store, model, wanted)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
