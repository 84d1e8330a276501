"""Progress of a training run, as a table and as events for TensorBoard."""

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
    """Write a record of each epoch to ``history.csv`` and to events of TensorBoard.

    ``tensorboard --logdir <models>`` shows several training runs together. If the package tensorboard is not
    installed, only the table is written.

    Parameters
    ----------
    folder
        Folder of the model; None for no files.
    history
        Records of completed epochs if the training run is resumed. Logs of later epochs are discarded.
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
    """Write the table of a training run's epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _HISTORY, pd.DataFrame(list(history)).to_csv(index=False).encode())


def _events(folder: Path, epochs_done: int) -> Any:
    """Writer of TensorBoard events, or None if TensorBoard is not installed."""
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard.writer import SummaryWriter

        return SummaryWriter(str(folder), purge_step=epochs_done + 1)
    return None
