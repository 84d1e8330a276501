"""Saving and resuming a training, without pickles and without half-written files.

A checkpoint is one safetensors file. The pointer, a JSON file with everything that is not a tensor, is
replaced last: whatever happens before that leaves the previous checkpoint in force.
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
    """State of a training after some epochs.

    Attributes
    ----------
    fingerprint
        Hash of everything that the training depends on.
    epoch
        Epochs done.
    history
        One record for each of them.
    weights, best
        Weights now, and at the smallest validation loss.
    optimiser
        Moments and counters, as of :meth:`jrflow.inference.training.optimisers.Optimisers.tensors`.
    """

    fingerprint: str
    epoch: int
    history: list[dict[str, float]]
    weights: Mapping[str, torch.Tensor]
    best: Mapping[str, torch.Tensor]
    optimiser: Mapping[str, torch.Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove those before it."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = {"weights": checkpoint.weights, "best": checkpoint.best, "optimiser": checkpoint.optimiser}
    tensors = {f"{group}/{name}": t for group, named in groups.items() for name, t in named.items()}
    path = folder / f"epoch-{checkpoint.epoch:05d}.safetensors"
    # Copies, for safetensors refuses tensors that share their memory; on the CPU, for any machine to read.
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
    """Read the latest checkpoint; None where there is none.

    Raises
    ------
    ValueError
        If it belongs to another training, or its file is missing.
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
    """Write a file that is there in full or not at all, also after a power failure."""
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
