from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from jrflow.inference.training import checkpoint as module
from jrflow.inference.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)


def checkpoint(epoch: int, fingerprint: str = "ours") -> Checkpoint:
    weights = {"head.weight": torch.full((2, 3), float(epoch))}
    return Checkpoint(fingerprint, epoch, [{"epoch": e + 1} for e in range(epoch)], weights, weights, {})


def test_what_was_saved_comes_back_and_older_ones_go(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none", "ours") is None
    for epoch in (1, 2):
        save_checkpoint(tmp_path, checkpoint(epoch))
    found = load_checkpoint(tmp_path, "ours")
    assert found is not None
    assert (found.epoch, found.history) == (2, [{"epoch": 1}, {"epoch": 2}])
    assert torch.equal(found.weights["head.weight"], torch.full((2, 3), 2.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00002.safetensors", "latest.json"]


@pytest.mark.parametrize("victim", ["epoch-00002.safetensors", "latest.json"])
def test_an_interrupted_write_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    save_checkpoint(tmp_path, checkpoint(1))

    def killed(path: Path, content: bytes) -> None:
        if path.name == victim:
            path.with_name(path.name + ".partial").write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        original(path, content)

    original = module.write_atomically
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, checkpoint(2))
    found = load_checkpoint(tmp_path, "ours")
    assert found is not None
    assert found.epoch == 1
    save_checkpoint(tmp_path, checkpoint(2))
    assert load_checkpoint(tmp_path, "ours").epoch == 2  # type: ignore[union-attr]


def test_another_trainings_checkpoint_is_an_error(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1, "theirs"))
    with pytest.raises(ValueError, match=r"another training.*\(fingerprint theirs, expected ours\).*rm -r"):
        load_checkpoint(tmp_path, "ours")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1))
    (tmp_path / json.loads((tmp_path / "latest.json").read_text())["file"]).unlink()
    with pytest.raises(ValueError, match=r"epoch-00001.safetensors, which is missing"):
        load_checkpoint(tmp_path, "ours")
