"""Progress of a training run: a table, and the same for TensorBoard."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from jrflow.inference.training.checkpoint import write_atomically

_HISTORY, _TENSORBOARD = "history.csv", "tensorboard"


class TrainingLog:
    """Writes the records of a training's epochs as they come: ``history.csv`` and TensorBoard's events.

    ``tensorboard --logdir <models>`` shows them, several trainings beside one another. Where the package
    tensorboard is missing, the table alone is written.

    Parameters
    ----------
    folder
        Of the model; None writes nothing.
    history
        Records of the epochs done before, if the training goes on after an interruption; what was logged
        of later epochs counts no more.
    """

    def __init__(self, folder: Path | None, history: Sequence[Mapping[str, float]]) -> None:
        self._folder = folder
        self._records = [dict(record) for record in history]
        self._events = _events(folder / _TENSORBOARD, len(history)) if folder is not None else None

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def record(self, record: Mapping[str, float]) -> None:
        """Log one epoch."""
        self._records.append(dict(record))
        if self._folder is None:
            return
        write_history(self._folder, self._records)
        if self._events is not None:
            for name, value in record.items():
                if name != "epoch":
                    self._events.add_scalar(name, value, int(record["epoch"]))
            self._events.flush()


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write the table of a training's epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _HISTORY, pd.DataFrame(list(history)).to_csv(index=False).encode())


def _events(folder: Path, epochs_done: int) -> Any:
    """Writer of TensorBoard's events, or None where that is not installed."""
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard.writer import SummaryWriter

        return SummaryWriter(str(folder), purge_step=epochs_done + 1)
    return None
