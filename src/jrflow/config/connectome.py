"""Connectomes: the connections between coupled regions."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from jrflow.config.section import Section
from jrflow.model.connectome import Connectome
from jrflow.model.connectome_files import read_connectome
from jrflow.space.spatial import Regions


class _Wiring(Section):
    """What every connectome has."""

    normalise: Literal["none", "max", "in-strength"] = "none"
    """How weights are rescaled. none: not at all; max: the largest weight becomes 1; in-strength: the
    weights that each region receives sum to 1."""
    G: float = Field(1.0, ge=0)
    """Global coupling, which multiplies all weights (dimensionless). A prior may vary it instead."""
    speed: float | None = Field(None, gt=0)
    """Conduction speed, m/s; null: no delays. A prior may vary it instead."""

    @property
    def parameters(self) -> dict[str, float]:
        """The network's parameters where no prior varies them: G, and speed in m/s."""
        return {"G": self.G, "speed": math.inf if self.speed is None else self.speed}


class SyntheticConnectome(_Wiring):
    """An invented, plausible connectome, for tests of a configuration and not for results about the brain."""

    kind: Literal["synthetic"]
    n_regions: int = Field(ge=1, le=100_000)
    """Number of regions."""
    seed: int = Field(0, ge=0)
    """Seed of the random weights."""


class TvbConnectome(_Wiring):
    """A connectome in the zip format of The Virtual Brain."""

    kind: Literal["tvb-zip"]
    path: str
    """Zip file with weights, tract lengths and centres; relative to where jrflow is run."""


class FileConnectome(_Wiring):
    """A connectome in an NPZ or MATLAB file, or in tables of weights and tract lengths."""

    kind: Literal["file"]
    path: str
    """File of the weights (.npz, .mat, .csv, .tsv, .txt); relative to where jrflow is run. weights[i, j] is
    the link to region i from region j."""
    tract_lengths: str | None = None
    """Table of tract lengths, mm, for a table of weights; null: none, or those of the NPZ or MATLAB file."""


_Connectomes = SyntheticConnectome | TvbConnectome | FileConnectome
ConnectomeConfig = Annotated[_Connectomes, Field(discriminator="kind")]


def regions_of(connectome: Connectome) -> Regions:
    """Names and positions of the regions of a network."""
    centres = connectome.centres
    positions = None if centres is None else tuple(map(tuple, centres.tolist()))
    return Regions(tuple(connectome.names), positions)


def build_connectome(config: _Connectomes) -> Connectome:
    """Make or read the connectome that is configured, once in a process as long as its file is the same.

    Of 1,000 regions this takes 0.2 s, more than simulating a small shard: all shards share one connectome.

    Raises
    ------
    OSError
        If its file cannot be read.
    ValueError
        If the file holds something else.
    """
    return _built(config, _version(config))


@lru_cache(maxsize=4)
def _built(config: _Connectomes, _: tuple[tuple[int, int], ...]) -> Connectome:
    if isinstance(config, SyntheticConnectome):
        connectome = Connectome.synthetic(config.n_regions, config.seed)
    elif isinstance(config, TvbConnectome):
        connectome = Connectome.from_tvb_zip(config.path)
    else:
        connectome = read_connectome(config.path, config.tract_lengths)
    return connectome if config.normalise == "none" else connectome.normalised(config.normalise)


def _version(config: _Connectomes) -> tuple[tuple[int, int], ...]:
    """Time and size of each file of a connectome, by which a change is noticed."""
    paths = [Path(path) for path in paths_of(config).values()]
    found = [path.stat() for path in paths if path.exists()]  # reading reports missing files
    return tuple((one.st_mtime_ns, one.st_size) for one in found)


def paths_of(config: _Connectomes) -> dict[str, str]:
    """Files that a connectome is read from, by their fields."""
    named = {name: getattr(config, name, None) for name in ("path", "tract_lengths")}
    return {name: path for name, path in named.items() if path is not None}
