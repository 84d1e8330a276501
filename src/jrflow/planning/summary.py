"""What a configuration would run, before it is run."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.config.load import load_connectome
from jrflow.config.shards import shard_count
from jrflow.config.sizes import readable

_BYTES_PER_SAMPLE = 4  # the archive stores float32


def summary(config: Config) -> str:
    """Describe the run: its campaigns with their sizes, and what is made of them."""
    connectome = load_connectome(config)
    noise = ", ".join(config.eeg.noise)
    n_regions = 1 if connectome is None else connectome.n_regions
    rows = [_row(config, name, n_regions) for name in config.campaigns]
    total = sum(row[4] for row in rows), sum(row[5] for row in rows), sum(row[6] for row in rows)
    heading = ("campaign", "design", "preset", "prior", "simulations", "size", "shards")
    table = [heading, *(_cells(row) for row in rows), _cells(("total", "", "", "", *total))]
    models = [f"{name} ({m.train} -> {m.test})" for name, m in config.inference.models.items()]
    return "\n".join(
        [
            f"run {config.run.name}, seed {config.run.seed}; results in {config.folder}",
            "",
            *_aligned(table),
            "",
            "Sizes are those of the recorded sources before compression; a shard is up to four files.",
            f"network: {'one column' if connectome is None else connectome}",
            f"models: {', '.join(models) or 'none'}",
            f"noise levels: {noise or 'none'}",
            f"Sobol indices: {', '.join(config.sensitivity.sobol) or 'none'}",
            f"one at a time: {', '.join(config.sensitivity.one_at_a_time) or 'none'}",
        ]
    )


def _row(config: Config, name: str, n_regions: int) -> tuple[str, str, str, str, int, int, int]:
    campaign, n = config.campaigns[name], config.n_simulations(name)
    size = n * n_regions * config.simulation.timing.n_times * _BYTES_PER_SAMPLE
    shards = shard_count(config, name, n_regions)
    return name, campaign.design, campaign.preset, campaign.prior, n, size, shards


def _cells(row: tuple[str, str, str, str, int, int, int]) -> tuple[str, ...]:
    return *row[:4], f"{row[4]:,}", readable(row[5]), f"{row[6]:,}"


def _aligned(table: list[tuple[str, ...]]) -> list[str]:
    """Words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if position > 3 else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
