"""Names, places and the seed of a run."""

from pydantic import Field

from jrflow.config.section import Name, Section


class RunConfig(Section):
    """What the run is called and where its results go."""

    name: Name = "demo"
    """Name of the run; its results go to the folder of this name."""
    results: str = Field("results", pattern=r"^\S+$")
    """Folder that holds all runs; relative to where jrflow is run; without spaces."""
    seed: int = Field(0, ge=0)
    """Seed of the run: all random numbers of the run are derived from it."""
