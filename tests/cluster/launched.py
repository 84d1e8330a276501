"""What the tests of the launcher have carried out: importable, since jobs find it by its name."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from jrflow.cluster.launcher import launch
from jrflow.cluster.task import Request, Task
from jrflow.config.cluster import ClusterConfig

#: Processes of this machine, asked often.
LOCAL = ClusterConfig.model_validate({"cluster": "local", "poll": 0.2, "training": {"gpus_per_node": 0}})
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES")


def request(ranks: int = 1, gres: str | None = None) -> Request:
    """A short job of some ranks."""
    return Request("jrflow-test", minutes=5, memory_mb=500, ranks_per_node=ranks, gres=gres)


def tell(folder: Path, name: str) -> None:
    """Write what a rank knows of itself."""
    known = {key: os.environ.get(key) for key in _NAMES} | {"process": os.getpid()}
    rank = known["RANK"] or "0"
    (folder / f"{name}-{rank}.json").write_text(json.dumps(known))


def fail(folder: Path, rank: str) -> None:
    """One rank fails, of a cause; the others would go on for minutes, whatever they are told."""
    if os.environ["RANK"] != rank:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tell(folder, "waits")
        time.sleep(300)
        return
    while not list(folder.glob("waits-*.json")):
        time.sleep(0.05)
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise ValueError("no such share of the data") from error


def wait(folder: Path) -> None:
    """Go on for minutes, with a process of its own."""
    tell(folder, "started")
    time.sleep(300)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    launch([Task(wait, (out,))], request(2), LOCAL, out / "jobs")
