"""The wiring of a network of regions."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from jrflow.config.section import Section
from jrflow.model.connectome import Connectome
from jrflow.space.spatial import Regions


class _Wiring(Section):
    """What every network has."""

    normalise: Literal["none", "max", "in-strength"] = "none"
    """How weights are rescaled: none; max, the largest becomes 1; in-strength, what each region receives
    sums to 1."""
    G: float = Field(1.0, ge=0)
    """Global coupling where no prior varies it: multiplies the weights (dimensionless)."""
    speed: float | None = Field(None, gt=0)
    """Conduction speed where no prior varies it, m/s; null: no delays."""

    @property
    def parameters(self) -> dict[str, float]:
        """The network's parameters where no prior varies them: G, and speed in m/s."""
        return {"G": self.G, "speed": math.inf if self.speed is None else self.speed}


class SyntheticConnectome(_Wiring):
    """A plausible connectome, made up: for trying things out, not for results about the brain."""

    kind: Literal["synthetic"]
    n_regions: int = Field(ge=1, le=100_000)
    """Number of regions."""
    seed: int = Field(0, ge=0)
    """Seed of the weights' scatter."""


class TvbConnectome(_Wiring):
    """A connectivity in The Virtual Brain's zip format."""

    kind: Literal["tvb-zip"]
    path: str
    """Zip file with weights, tract lengths and centres; relative to where jrflow is run."""


ConnectomeConfig = Annotated[SyntheticConnectome | TvbConnectome, Field(discriminator="kind")]


def regions_of(connectome: Connectome) -> Regions:
    """Names and positions of the regions of a network."""
    centres = connectome.centres
    positions = None if centres is None else tuple(map(tuple, centres.tolist()))
    return Regions(tuple(connectome.names), positions)


def build_connectome(config: SyntheticConnectome | TvbConnectome) -> Connectome:
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
def _built(config: SyntheticConnectome | TvbConnectome, _: tuple[int, int] | None) -> Connectome:
    if isinstance(config, SyntheticConnectome):
        connectome = Connectome.synthetic(config.n_regions, config.seed)
    else:
        connectome = Connectome.from_tvb_zip(config.path)
    return connectome if config.normalise == "none" else connectome.normalised(config.normalise)


def _version(config: SyntheticConnectome | TvbConnectome) -> tuple[int, int] | None:
    """Time and size of a connectome's file, by which a change is noticed; None where there is no file."""
    if isinstance(config, SyntheticConnectome) or not Path(config.path).exists():
        return None  # reading reports a file that is missing
    found = Path(config.path).stat()
    return found.st_mtime_ns, found.st_size
