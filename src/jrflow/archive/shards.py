"""Reading the shards of a store, whose arrays are opened once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zarr
from upath import UPath

from jrflow.archive.attributes import read_specification
from jrflow.archive.chunks import ShardFiles
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.place import UNREADABLE, open_array
from jrflow.archive.status import NON_FINITE, NOT_SIMULATED, OUT_OF_RANGE


def shard_files(shard: int) -> tuple[str, ...]:
    """Names of a shard's files, in the order of writing; all but source and status may be absent."""
    return f"source/c/{shard}/0/0", *(f"{name}/c/{shard}" for name in OUTCOMES)


def shard_of(name: str) -> int | None:
    """Number of the shard that a file of a store belongs to, by its name; None if it belongs to none."""
    variable, _, chunk = name.partition("/c/")
    return int(chunk.split("/")[0]) if chunk and variable in ("source", *OUTCOMES) else None


@dataclass(frozen=True)
class StoredShards:
    """The shards of one store; may be read from several threads.

    Attributes
    ----------
    store, layout
        The store, and how it is divided.
    source, outcomes
        Its arrays that are written shard by shard.
    reader
        Reader of the chunks of ``source``; None where only zarr can read them.
    evoked
        Whether every simulation has at least one trial.
    """

    store: UPath
    layout: ShardLayout
    source: zarr.Array
    outcomes: dict[str, zarr.Array]
    reader: ShardFiles | None
    evoked: bool

    @classmethod
    def open(cls, store: UPath) -> StoredShards:
        """Open the arrays of a store.

        Raises
        ------
        ArchiveError
            If one of them is missing, or its metadata are damaged.
        """
        source = open_array(store, "source")
        outcomes = {name: open_array(store, name) for name in OUTCOMES}
        evoked = read_specification(store).simulation.protocol.kind == "evoked"
        return cls(store, ShardLayout.of_store(store), source, outcomes, ShardFiles.of(source), evoked)

    def read(self, shard: int) -> dict[str, np.ndarray]:
        """Read source and outcomes of a shard, by their names.

        Raises
        ------
        ValueError, RuntimeError, OSError
            If a file is damaged or lost: the checksum of every chunk is compared.
        """
        source = self.store / shard_files(shard)[0]
        if not source.exists() or source.stat().st_size == 0:  # for Zarr both are nothing but fill values
            raise FileNotFoundError(f"{self.store}: no source of shard {shard}")
        ids = self.layout.simulations(shard)
        return {"source": np.asarray(self.source[ids])} | self._read_outcomes(shard)

    def is_damaged(self, shard: int) -> bool:
        """Whether a shard that should be there cannot be read."""
        ids = self.layout.simulations(shard)
        try:
            if self.reader is None:
                self.read(shard)
            else:
                # Chunk by chunk into one place: a third of the time, and no memory for a whole shard.
                self._read_outcomes(shard)
                out = np.empty(self.source.chunks, np.float32)
                for chunk in range(
                    ids.start // self.reader.chunk_size, -(-ids.stop // self.reader.chunk_size)
                ):
                    self.reader.read(chunk, out)
        except UNREADABLE:
            return True
        return False

    def _read_outcomes(self, shard: int) -> dict[str, np.ndarray]:
        ids = self.layout.simulations(shard)
        stored = {name: np.asarray(array[ids]) for name, array in self.outcomes.items()}
        # Where a file is lost, Zarr answers with the fill value.
        failed = np.isin(stored["status"], (NON_FINITE, OUT_OF_RANGE))
        if (failed & (stored["failed_step"] < 0)).any():
            raise ValueError(f"{self.store}: shard {shard} has lost the steps of its failures")
        if self.evoked and (stored["n_trials"][stored["status"] != NOT_SIMULATED] == 0).any():
            raise ValueError(f"{self.store}: shard {shard} has lost its numbers of trials")
        return stored
