"""``ds.jrflow``: methods for simulations in the layout of an archive, in addition to plain xarray."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

# Imported together with xarray wherever jrflow is: what xarray itself does not load waits until it is needed.
if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes

    from jrflow.archive.paths import AnyPath
    from jrflow.explanation import Explanation
    from jrflow.observe.noise import EvokedNoise

#: Lines that a legend still tells apart: matplotlib's colours then begin anew.
_LEGEND = 10


@xr.register_dataset_accessor("jrflow")
class JrflowAccessor:
    """Simulations in the archive's layout, lazy or loaded, whole or selected: ``ds.jrflow``.

    Of ``source`` only the simulations asked for are read. A ``ValueError`` says where a variable is missing
    that is needed, or there is no such simulation.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def parameters(self) -> pd.DataFrame:
        """Parameters of the model with one value for each simulation, and their status.

        Returns
        -------
        DataFrame over ``sim``; ``attrs["units"]`` holds the units by parameter.
        """
        from jrflow.model import MODEL

        ids = self._ids()
        there = [name for name in (*MODEL.space, "status") if name in self._ds.variables]
        names = [name for name in there if set(self._ds[name].dims) <= {"sim"}]
        table = self._ds.reset_coords()[names].compute()
        columns = {name: np.broadcast_to(table[name].values, len(ids)) for name in names}
        frame = pd.DataFrame(columns, index=pd.Index(ids, name="sim"))
        frame.attrs["units"] = {name: MODEL.space[name].unit for name in names if name != "status"}
        return frame

    def explain(self, sim: int) -> Explanation:
        """Say what one simulation of an archive depends on, and how to regenerate it.

        Raises
        ------
        ValueError
            If there is no such simulation, or the Dataset does not say how it was made.
        """
        from jrflow.explanation import Explanation, specification_of
        from jrflow.model import MODEL

        (position,), attrs = self._positions([_one(sim)]), self._ds.attrs
        specification = specification_of(self._ds, _one(sim), position)
        coupled = specification.simulation.connectome is not None
        names = [*MODEL.mass, *(MODEL.network if coupled else ())]
        names += [name for name in MODEL.inputs if name in self._ds.variables]
        self._require(*names)
        own = self._ds.reset_coords()[names]
        own = own.isel(sim=position).compute() if "sim" in own.dims else own.compute()
        return Explanation(
            sim=_one(sim),
            parameters={name: _plain(own[name].values) for name in names},
            specification=specification,
            versions=json.loads(attrs["versions"]),
            git_commit=attrs["git_commit"],
            config_hash=attrs["config_hash"],
        )

    def export(self, out: AnyPath) -> None:
        """Write these simulations to a netCDF file or to a Zarr store, with all that explains them.

        Only a few shards of ``source`` are in memory at once. Failed simulations are written with their
        ``status``: select ``status == 0`` first to leave them out.

        Parameters
        ----------
        out
            File to write, whose name ends with .nc, or store, with .zarr.

        Raises
        ------
        ValueError
            If the name has another ending, lies within a store, or there is no simulation.
        FileExistsError, FileNotFoundError
            If the target exists, or its folder does not.
        """
        from jrflow.archive.dataset import export

        export(self._ds, out)

    def check(self) -> None:
        """Make sure that the archive behind this Dataset has all its files: plain xarray does not notice it.

        Raises
        ------
        ArchiveError
            If a file is missing or truncated (each is named), or the archive is not sealed.
        ValueError
            If the Dataset does not say where it was opened.
        """
        from jrflow.archive.dataset import check_dataset

        check_dataset(self._ds)

    def to_evoked(
        self, sim: int, *, lead_field: xr.DataArray, noise: EvokedNoise | None = None, seed: int = 0,
        allow_failed: bool = False,
    ) -> mne.EvokedArray:  # fmt: skip
        """One simulation as MNE would have averaged it, V: see :func:`jrflow.observe.to_evoked`."""
        from jrflow.observe import to_evoked

        one = self._sources([_one(sim)])
        return to_evoked(
            one, sim=_one(sim), lead_field=lead_field, noise=noise, seed=seed, allow_failed=allow_failed
        )

    def plot_evoked(
        self, sim: int | Sequence[int], *, ax: Axes | None = None, region: str | Sequence[str] | None = None
    ) -> Axes:
        """Draw the sources (mV) of one or several simulations over time (s).

        A dashed line marks the onset of the stimulus. The legend, if colours suffice, marks failures.

        Parameters
        ----------
        sim
            Id, or several.
        ax
            Where to draw; by default new axes.
        region
            Regions of a network to draw, each by itself; by default all of them, thin, and their mean.

        Raises
        ------
        ValueError
            If there is no such simulation or region, or a simulation has no finite sample.
        """
        import matplotlib.pyplot as plt

        chosen = self._sources(_several(sim))
        sources, failures = _of_regions(chosen["source"], region).compute(), _failures(chosen)
        if dead := [one["sim"].item() for one in sources if not np.isfinite(one).any()]:
            raise ValueError(
                f"no sample of the simulations {dead} is finite: look at ds.status, or choose from "
                "ds.query(sim='status == 0')"
            )
        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        for one, failed in zip(sources, failures, strict=True):
            _draw(ax, one, failed, together=region is None)
        times = sources["time"].values
        if times[0] < 0 < times[-1]:  # only an evoked response begins before 0
            ax.axvline(0, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
        ax.set(xlabel="time from stimulus onset (s)" if times[0] < 0 else "time (s)", ylabel="source (mV)")
        if len(ax.get_legend_handles_labels()[0]) <= _LEGEND:
            ax.legend()
        return ax

    def _require(self, *names: str) -> None:
        if missing := [name for name in names if name not in self._ds.variables]:
            raise ValueError(
                f"expected a Dataset with {', '.join(missing)}, received one with "
                f"{', '.join(map(str, self._ds.variables)) or 'nothing'}: take it as jrflow.open_archive, "
                "xr.open_zarr or jrflow.simulate returns it"
            )

    def _ids(self) -> Any:
        """Ids of the simulations, shape (n_sims,), also where just one was selected."""
        self._require("sim")
        return self._ds["sim"].values.reshape(-1)

    def _positions(self, ids: list[int]) -> list[int]:
        """Where these simulations stand."""
        there = pd.Index(self._ids())
        if not there.is_unique:
            raise ValueError("some simulations share an id, which one campaign's never do: take one campaign")
        if unknown := [one for one in ids if one not in there]:
            known = f"{len(there)}, from {there.min()} to {there.max()}" if len(there) else "none"
            raise ValueError(f"no simulation with id {unknown[0]}: there are {known} in this Dataset")
        return [int(position) for position in there.get_indexer(ids)]

    def _sources(self, ids: list[int]) -> xr.Dataset:
        """Lazy ``source`` (sim, region, time) of some simulations, with the Dataset's attributes."""
        self._require("sim", "source")
        sources = self._ds[["source"]]
        sources = sources.expand_dims([dim for dim in ("sim", "region") if dim not in sources.dims])
        positions = self._positions(ids)
        sources = sources.isel(sim=positions).transpose("sim", "region", "time")
        if "status" not in self._ds.variables:
            return sources
        return sources.assign(status=("sim", self._ds["status"].values.reshape(-1)[positions]))


def _several(sim: Any) -> list[int]:
    """Ids as they were given: one, or several."""
    ids = np.atleast_1d(np.asarray(sim))
    if ids.ndim > 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise ValueError(f"expected a simulation id, a whole number, or a list of them, received {sim!r}")
    return [int(one) for one in ids]


def _plain(values: np.ndarray) -> float | tuple[float, ...]:
    """One value, or one for each region."""
    return float(values) if values.ndim == 0 else tuple(values.tolist())


def _one(sim: Any) -> int:
    ids = _several(sim)
    if len(ids) > 1:
        raise ValueError(f"expected one simulation id, received {ids}: ask for each by itself")
    return ids[0]


def _failures(sources: xr.Dataset) -> list[str]:
    """Meaning of each simulation's status, empty where it is ok or not known."""
    from jrflow.archive.vocabulary import OK, STATUS_MEANINGS

    if "status" not in sources:
        return [""] * sources.sizes["sim"]
    return ["" if value == OK else STATUS_MEANINGS[value] for value in sources["status"].values.tolist()]


def _of_regions(source: xr.DataArray, names: str | Sequence[str] | None) -> xr.DataArray:
    wanted, there = np.atleast_1d([] if names is None else names).tolist(), source["region"].values.tolist()
    if unknown := [name for name in wanted if name not in there]:
        raise ValueError(f"no region {unknown[0]!r}: there are {len(there)}, {reprlib.repr(there)}")
    return source.isel(region=[there.index(name) for name in wanted]) if wanted else source


def _draw(ax: Axes, source: xr.DataArray, failed: str, *, together: bool) -> None:
    """Lines of one simulation, ``source`` (region, time); where there are many, thin, with their mean."""
    name = f"sim {source['sim'].item()}" + (f" ({failed})" if failed else "")
    times, n_regions = source["time"].values, source.sizes["region"]
    if together and n_regions > 1:
        label = f"{name}, mean of {n_regions} regions"
        (mean,) = ax.plot(times, source.mean("region").values, linewidth=2, label=label)
        ax.plot(times, source.values.T, color=mean.get_color(), linewidth=0.7, alpha=0.5, zorder=1)
        return
    for region, trace in zip(source["region"].values, source.values, strict=True):
        ax.plot(times, trace, label=name if region == "column" else f"{name}, {region}")
