"""Save and resume a training run, without pickles and without incomplete files.

A checkpoint is a safetensors file. The pointer, a JSON file with all data that are not tensors, is replaced
last: after an interruption before this step, the previous checkpoint is still valid.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

_POINTER = "latest.json"


@dataclass(frozen=True)
class Checkpoint:
    """State of a training run after some epochs.

    Attributes
    ----------
    fingerprint
        Hash of all settings and data on which the training run depends.
    epoch
        Number of completed epochs.
    history
        One record for each completed epoch.
    weights
        Weights after the last epoch.
    best
        Weights after the best epoch.
    optimiser
        Moments and counters, from :meth:`jrflow.inference.training.optimisers.Optimisers.tensors`.
    """

    fingerprint: str
    epoch: int
    history: list[dict[str, float]]
    weights: Mapping[str, torch.Tensor]
    best: Mapping[str, torch.Tensor]
    optimiser: Mapping[str, torch.Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove earlier ones."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = {"weights": checkpoint.weights, "best": checkpoint.best, "optimiser": checkpoint.optimiser}
    tensors = {f"{group}/{name}": t for group, named in groups.items() for name, t in named.items()}
    path = folder / f"epoch-{checkpoint.epoch:05d}.safetensors"
    # Copy tensors, because safetensors refuses shared memory; on the CPU, so that any machine can read them.
    write_atomically(path, save({name: tensor.cpu().clone() for name, tensor in tensors.items()}))
    pointer = {
        "file": path.name,
        "fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "history": checkpoint.history,
    }
    write_atomically(folder / _POINTER, json.dumps(pointer, indent=1).encode())
    for old in folder.glob("epoch-*.safetensors"):
        if old != path:
            old.unlink()


def load_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """Read the latest checkpoint; None if there is none.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another training run, or its file is missing.
    """
    pointer_path = folder / _POINTER
    if not pointer_path.exists():
        return None
    pointer: dict[str, Any] = json.loads(pointer_path.read_text(encoding="utf-8"))
    if pointer["fingerprint"] != fingerprint:
        raise ValueError(
            f"{folder} holds the checkpoint of another training: settings, simulations, noise or seed differ "
            f"(fingerprint {pointer['fingerprint'][:12]}, expected {fingerprint[:12]}). To train again from "
            f"the start, "
            f"delete it: rm -r '{folder}'"
        )
    path = folder / pointer["file"]
    if not path.exists():
        raise ValueError(
            f"{pointer_path} names {path.name}, which is missing; delete "
            f"{folder} to train again from the start"
        )
    groups: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "best": {}, "optimiser": {}}
    for key, tensor in load_file(path).items():
        group, name = key.split("/", 1)
        groups[group][name] = tensor
    return Checkpoint(fingerprint, pointer["epoch"], pointer["history"], **groups)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or absent, even after a power failure."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
