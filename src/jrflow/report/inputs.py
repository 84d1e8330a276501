"""Results of a run on disk. Absent results are ``None``, and the report says that they are absent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from upath import UPath

from jrflow.archive import open_archive, read_manifest
from jrflow.archive.manifest import Manifest
from jrflow.archive.paths import place
from jrflow.config import Config, load_config
from jrflow.report.scores import noise_levels
from jrflow.sensitivity.campaign import choose_channel
from jrflow.specification import Specification


@dataclass(frozen=True)
class RunResults:
    """Results of one run under ``results/<run>/``.

    Attributes
    ----------
    folder
        The run's folder.
    config
        Its effective configuration.
    """

    folder: Path
    config: Config

    @classmethod
    def open(cls, folder: Path) -> RunResults:
        """Open a run by its folder.

        Raises
        ------
        FileNotFoundError
            If the folder holds no config.yaml.
        ConfigError
            If it is not a valid configuration.
        """
        path = folder / "config.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} not found: expected the folder of a run, results/<run>, with its effective "
                "configuration; run the pipeline first"
            )
        return cls(folder, load_config(path))

    @property
    def config_text(self) -> str:
        """The effective configuration as written."""
        return (self.folder / "config.yaml").read_text(encoding="utf-8")

    def preset(self, campaign: str) -> str:
        """Preset of a campaign."""
        return self.config.campaigns[campaign].preset

    def training_of(self, preset: str, estimator: str | None = None) -> str | None:
        """First training on a preset, of a certain estimator if one is named."""
        for name, training in self.config.inference.trainings.items():
            if self.preset(training.test) == preset and estimator in (None, training.network):
                return name
        return None

    @property
    def experiments(self) -> list[str]:
        """Trainings whose noise levels and limits are those of all on the same two campaigns."""
        inference = self.config.inference
        return list(dict.fromkeys(inference.experiment(name) for name in inference.trainings))

    @cached_property
    def presets(self) -> list[str]:
        """Presets of the campaigns, in the order of the configuration."""
        return list(dict.fromkeys(campaign.preset for campaign in self.config.campaigns.values()))

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """Manifest of every sealed campaign, by name."""
        found = {name: read_manifest(self._archive_path(name)) for name in self.config.campaigns}
        return {name: manifest for name, manifest in found.items() if manifest is not None}

    @cached_property
    def specifications(self) -> dict[str, Specification]:
        """What the simulations of every sealed campaign depend on, by name."""
        return {name: Specification.parse(m.specification) for name, m in self.manifests.items()}

    def archive(self, campaign: str) -> xr.Dataset | None:
        """Archive of a sealed campaign; ``source`` is lazy."""
        return open_archive(self._archive_path(campaign)) if campaign in self.manifests else None

    def _archive_path(self, campaign: str) -> UPath:
        return place(self.folder / "archives" / f"{campaign}.zarr")

    @cached_property
    def lead_field(self) -> xr.DataArray | None:
        """Lead field over (channel, region), uV/mV."""
        dataset = self._netcdf("eeg/lead_field.nc")
        return None if dataset is None else next(iter(dataset.data_vars.values()))

    @cached_property
    def channel(self) -> str:
        """Channel at which responses are shown: the configured one, or the strongest."""
        chosen = self.config.sensitivity.channel
        return chosen if self.lead_field is None else choose_channel(self.lead_field, chosen)

    @cached_property
    def scores(self) -> pd.DataFrame | None:
        """Scores of every estimator (the contract's columns)."""
        return self._csv("evaluation/scores.csv")

    @cached_property
    def learning_curve(self) -> pd.DataFrame | None:
        """R2 over the number of training simulations and of presentations, noisiest level first."""
        curve = self._csv("evaluation/learning_curve.csv")
        if curve is None:
            return None
        order = self._noisiest_first(curve["noise"].unique())
        return curve.sort_values("noise", key=lambda names: names.map(order.index), kind="stable")

    @cached_property
    def estimates(self) -> dict[str, Any] | None:
        """Estimates for measured evoked responses."""
        return self._json("evaluation/estimates.json")

    @cached_property
    def responses(self) -> xr.Dataset | None:
        """Measured and re-simulated time courses over (response, channel, time)."""
        return self._netcdf("evaluation/responses.nc")

    def model_card(self, model: str) -> dict[str, Any] | None:
        """Description of a trained model."""
        return self._json(f"models/{model}/model.json")

    def history(self, model: str) -> pd.DataFrame | None:
        """Losses of a model over its epochs."""
        return self._csv(f"models/{model}/history.csv")

    def predictions(self, model: str) -> xr.Dataset | None:
        """``true`` (sim, parameter) and ``predicted`` (noise, sim, parameter) of a model's test campaign.

        Noise levels are in the order of all figures and tables, noisiest first.
        """
        return self._in_order(self._netcdf(f"evaluation/{model}-predictions.nc"))

    def limits(self, model: str) -> xr.Dataset | None:
        """Limits of R2 for a model's prior, over (noise, parameter)."""
        return self._netcdf(f"limits/{model}.nc")

    def reference(self, model: str) -> xr.Dataset | None:
        """Reference posteriors of test simulations, (noise, case, draw, parameter), and their checks."""
        return self._in_order(self._netcdf(f"limits/{model}-reference.nc"))

    def sobol(self, campaign: str) -> xr.Dataset | None:
        """Sobol indices of a saltelli campaign."""
        return self._netcdf(f"sensitivity/{campaign}.nc")

    def one_at_a_time(self, preset: str) -> xr.Dataset | None:
        """Heat maps and effects of the first one-at-a-time campaign of a preset."""
        campaigns = [c for c in self.config.sensitivity.one_at_a_time if self.preset(c) == preset]
        return self._netcdf(f"sensitivity/{campaigns[0]}.nc") if campaigns else None

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """Wall-clock time of every job that Snakemake timed: columns ``stage``, ``seconds``."""
        rows = []
        root = self.folder / "benchmarks"
        for path in sorted(root.rglob("*.tsv")):
            seconds = pd.read_csv(path, sep="\t")["s"].sum()
            rows.append((path.relative_to(root).with_suffix("").as_posix(), float(seconds)))
        return pd.DataFrame(rows, columns=["stage", "seconds"])

    def _in_order(self, dataset: xr.Dataset | None) -> xr.Dataset | None:
        return None if dataset is None else dataset.sel(noise=self._noisiest_first(dataset["noise"].values))

    def _noisiest_first(self, levels: Iterable[str]) -> list[str]:
        """Names of noise levels in the order of their signal-to-noise ratios; unknown ones stay in place."""
        known = [] if self.scores is None else noise_levels(self.scores)
        return sorted(map(str, levels), key=lambda name: known.index(name) if name in known else len(known))

    def _json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _csv(self, name: str) -> pd.DataFrame | None:
        path = self.folder / name
        return pd.read_csv(path) if path.is_file() else None

    def _netcdf(self, name: str) -> xr.Dataset | None:
        path = self.folder / name
        if not path.is_file():
            return None
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
