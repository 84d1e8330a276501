"""What one simulation of a campaign depends on, in words, as code, and carried out again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import xarray as xr

from jrflow.archive.vocabulary import CAMPAIGN_KEY
from jrflow.config.connectome import ConnectomeConfig, SyntheticConnectome, TvbConnectome
from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.provenance import content_hash, version_changes
from jrflow.simulation import simulate
from jrflow.specification import Specification

#: What is told beside the values, with units.
_MEANINGS = {
    "preset": "defaults of the model",
    "solver": "integration scheme",
    "dt": "integration step, s",
    "sfreq": "sampling frequency, Hz",
    "seed": "key of all random numbers, with the id of the simulation",
    "precision": "of the integration; archives hold float32",
    "backend": "where it was computed",
    "max_source": "largest believable |source|, mV",
    "steady_state_tolerance": "fraction of its range within which a response has settled",
    "git_commit": "",
    "config_hash": "",
}

#: Characters of a line of code that lists values.
_WIDTH = 90


#: Attributes that say how an archive was made.
_PROVENANCE = ("specification", "config_hash", "versions", "git_commit")


def specification_of(ds: xr.Dataset, sim: int, position: int) -> Specification:
    """Specification of the campaign that a simulation belongs to.

    Attributes hold for a whole Dataset: where a Dataset holds simulations of several campaigns, they describe
    one campaign only.

    Parameters
    ----------
    ds
        Simulations of an archive.
    sim, position
        Id of the simulation, and where it is.

    Raises
    ------
    ValueError
        If the attributes do not describe the campaign of this simulation.
    """
    attrs = ds.attrs
    if missing := [name for name in _PROVENANCE if name not in attrs]:
        raise ValueError(
            f"expected the attribute {missing[0]!r} of a campaign's archive, received attributes "
            f"{sorted(attrs)}: what jrflow.simulate returns is explained by the call that made it; of an "
            "archive, explain the Dataset as it was opened"
        )
    content = json.loads(attrs["specification"])
    if content_hash(content) != attrs["config_hash"]:
        raise ValueError(
            "the attributes 'specification' and 'config_hash' do not agree: they were edited, or merged from "
            "several archives; explain the Dataset as it was opened"
        )
    specification = Specification.parse(content)
    if CAMPAIGN_KEY not in ds.variables:
        if "n_simulations" not in attrs:  # an archive of an early version
            return specification
        raise ValueError(
            f"expected a Dataset with {CAMPAIGN_KEY}, which says to which campaign a simulation belongs, "
            f"received one with {', '.join(map(str, ds.variables))}: explain the Dataset as it was opened"
        )
    key = int(ds[CAMPAIGN_KEY].values.reshape(-1)[position])
    if key != specification.key:
        raise ValueError(
            f"simulation {sim} does not belong to campaign {specification.campaign!r}, which the "
            "attributes describe: this Dataset holds simulations of several campaigns, and attributes of "
            "one; explain it in the Dataset of its own archive"
        )
    return specification


@dataclass(frozen=True)
class Explanation:
    """How to regenerate one simulation of a campaign; ``print`` shows it with units.

    Attributes
    ----------
    sim, parameters
        Id of the simulation, and its own value of every parameter, or values by region, in the units of the
        model's table.
    specification
        Everything that all simulations of its campaign depend on; what is named below is read from it.
    versions, git_commit, config_hash
        Packages, commit and hash of the specification with which the campaign was begun.
    campaign
        Name of the campaign.
    preset, protocol, connectome, solver, dt, sfreq, seed, precision, backend, max_source,
    steady_state_tolerance
        As ``jrflow.simulate`` takes them (s, Hz, mV); the connectome by its settings.
    """

    sim: int
    parameters: dict[str, float | tuple[float, ...]]
    specification: Specification = field(repr=False)
    versions: dict[str, str]
    git_commit: str
    config_hash: str
    # Not to be given: what a copy with another value says, `simulate` would not do.
    campaign: str = field(init=False)
    preset: str = field(init=False)
    protocol: EvokedProtocol | RestProtocol = field(init=False)
    connectome: ConnectomeConfig | None = field(init=False)
    solver: str = field(init=False)
    dt: float = field(init=False)
    sfreq: float = field(init=False)
    seed: int = field(init=False)
    precision: str = field(init=False)
    backend: str = field(init=False)
    max_source: float = field(init=False)
    steady_state_tolerance: float | None = field(init=False)

    def __post_init__(self) -> None:
        made_from = self.specification
        known = {"campaign": made_from.campaign, "preset": made_from.settings.preset, "seed": made_from.seed}
        known |= dict(made_from.simulation)
        for name in (f.name for f in fields(self) if not f.init):
            object.__setattr__(self, name, known[name])  # the class is frozen, even to itself

    def simulate(self) -> xr.Dataset:
        """Simulate it anew: bit for bit what is in the archive, given the same versions and kind of machine.

        Returns
        -------
        Dataset of this simulation alone, as ``jrflow.simulate`` returns it, but always ``source`` in float32:
        an archive holds no other.

        Raises
        ------
        OSError, ValueError
            If the connectome's file cannot be read, or has changed.
        BackendError
            If it was computed on a GPU and here is none.
        """
        columns = {name: np.array([value]) for name, value in self.parameters.items()}
        variables = {name: (("sim", "region")[: values.ndim], values) for name, values in columns.items()}
        design = xr.Dataset(variables, coords={"sim": [self.sim]})
        simulated = simulate(design, **self.specification.simulate_arguments())
        return simulated.assign(source=simulated["source"].astype(np.float32))

    def code(self) -> str:
        """Python code that simulates it, every digit written out, to copy and to change."""
        regional = any(isinstance(value, tuple) for value in self.parameters.values())
        write = _variable if regional else _number
        parameters = [f"{name!r}: {write(value)}" for name, value in self.parameters.items()]
        protocol = [f"{f.name}={getattr(self.protocol, f.name)!r}" for f in fields(self.protocol)]
        written = {
            "protocol": f"jrflow.{type(self.protocol).__name__}(\n{_filled(protocol, 8)}\n    )",
            "connectome": _connectome_code(self.connectome),
        }
        names = [f.name for f in fields(self) if not f.init and f.name != "campaign"]
        lines = [
            "import jrflow",
            "import xarray as xr" if regional else "import pandas as pd",
            "",
            f"parameters = {{\n{_filled(parameters, 4)}\n}}",
            "ds = jrflow.simulate(",
            f"    xr.Dataset(parameters, coords={{'sim': [{self.sim}]}}),"
            if regional
            else f"    pd.DataFrame(parameters, index=pd.Index([{self.sim}], name='sim')),",
            *(f"    {name}={written.get(name, repr(getattr(self, name)))}," for name in names),
            ")",
        ]
        if self.precision != "float32":
            lines.append("ds['source'] = ds['source'].astype('float32')  # as archives hold it")
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"simulation {self.sim} of campaign {self.campaign!r}",
                *(f"  {name:<27} {value:<19}  {meaning}".rstrip() for name, value, meaning in self._rows()),
                "",
                "To simulate it again, call .simulate() of this explanation, or run",
                "",
                self.code(),
            ]
        )

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, value, and meaning with its unit."""
        for name, value in self.parameters.items():
            unit, long_name = MODEL.space[name].unit, MODEL.space[name].long_name
            text = f"{value:g}" if isinstance(value, float) else f"{min(value):g} to {max(value):g}"
            yield name, text if unit == "1" else f"{text} {unit}", long_name
        yield "protocol", self.protocol.kind, ""
        described: Any = type(self.protocol)  # pydantic's dataclasses keep what their fields mean
        for name, info in described.__pydantic_fields__.items():
            if name != "kind":
                yield f"protocol.{name}", str(getattr(self.protocol, name)), info.description
        yield "connectome", _connectome_code(self.connectome), ""
        for name, meaning in _MEANINGS.items():
            yield name, str(getattr(self, name)), meaning
        yield "versions", self._versions(), ""

    def _versions(self) -> str:
        """Which packages are installed in another version than then."""
        changed = version_changes(self.versions)
        return f"changed: {'; '.join(changed)}: last digits may differ" if changed else "the same as now"


def _filled(items: list[str], indent: int) -> str:
    """Items of a call or a mapping, on lines that can be read."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > _WIDTH:
            lines.append("")
        lines[-1] += f"{item}, "
    return "\n".join(" " * indent + line.rstrip() for line in lines)


def _variable(value: float | tuple[float, ...]) -> str:
    """A variable of a Dataset with one simulation."""
    if isinstance(value, tuple):
        return f"(('sim', 'region'), [[{', '.join(map(_number, value))}]])"
    return f"('sim', [{_number(value)}])"


def _number(value: Any) -> str:
    return repr(value) if np.isfinite(value) else f"float({str(value)!r})"


def _connectome_code(section: ConnectomeConfig | None) -> str:
    """The call that makes what ``jrflow.config.connectome.build_connectome`` does."""
    if section is None:
        return "None"
    if isinstance(section, SyntheticConnectome):
        made = f"jrflow.Connectome.synthetic({section.n_regions}, {section.seed})"
    elif isinstance(section, TvbConnectome):
        made = f"jrflow.Connectome.from_tvb_zip({section.path!r})"
    else:
        lengths = "" if section.tract_lengths is None else f", {section.tract_lengths!r}"
        made = f"jrflow.read_connectome({section.path!r}{lengths})"
    return made if section.normalise == "none" else f"{made}.normalised({section.normalise!r})"
