"""Geometry and limits of whole brains: what they cost, and how well parameters of regions can be known.

    python benchmarks/brain.py             # seconds: lead field of 1,000 regions, Jacobians of 68 and 200
    python benchmarks/brain.py --limits    # table of the R2 limits by number of regions and observation

Regions are parcels of fsaverage5; the connectome is synthetic, with in-strength 1 and G around 10. Every
region has its own A_e, A_i, b_e, b_i and C (relative uniform, +-50 %), and all are stimulated by the paper's
protocol. Needs no peer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from markdown_table import table

import jrflow

HALF = {"kind": "relative-uniform", "half_width": 0.5}
REGIONAL = ("A_e", "A_i", "b_e", "b_i", "C")
PARAMETERS: dict[str, Any] = {name: HALF | {"regions": "independent"} for name in REGIONAL} | {"G": HALF}
COUPLING = {"G": 10.0}


def brain(n: int) -> tuple[jrflow.Connectome, xr.DataArray]:
    """Connectome and lead field of n regions."""
    parcels = jrflow.Parcels.of_size(n)
    connectome = jrflow.Connectome.synthetic(n, centres=parcels.centres, names=parcels.names)
    return connectome.normalised("in-strength"), jrflow.lead_field(parcels=parcels)


def timings() -> None:
    """Print seconds on all cores, and of CPU time; the first call, which compiles, is not timed."""
    jrflow.network_limits(PARAMETERS, brain(4)[0], coupling=COUPLING, n_draws=1)
    rows = [("parcels, connectome and lead field, 1,000 regions, 64 channels", *timed(lambda: brain(1000)))]
    for n in (68, 200):
        connectome, _ = brain(n)

        def one_draw(connectome: jrflow.Connectome = connectome) -> None:
            jrflow.network_limits(PARAMETERS, connectome, coupling=COUPLING, n_draws=1)

        rows.append((f"limits at one draw, {n} regions, {5 * n + 1} variables", *timed(one_draw)))
    print(
        table(["", "s", "s of CPU time"], [(name, f"{wall:.1f}", f"{cpu:.1f}") for name, wall, cpu in rows])
    )


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of CPU time, of one call."""
    start, start_cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - start_cpu


def limits(n_draws: int) -> None:
    """Print the mean limit over regions of each parameter."""
    snr, rows = (0.0, 20.0, 40.0), []
    for n in (2, 10, 68):
        connectome, lead_field = brain(n)
        for observed, field in (("sources", None), ("64 electrodes", lead_field)):
            found = jrflow.network_limits(
                PARAMETERS, connectome, lead_field=field, coupling=COUPLING, n_draws=n_draws, snr_db=snr
            )
            means = found["r2_limit"].groupby("parameter").mean("variable")
            for level in snr:
                here = found.sel(snr_db=level)
                values = [f"{float(means.sel(snr_db=level, parameter=name)):.2f}" for name in PARAMETERS]
                above = float((here["r2_limit"] > 0.5).mean())
                informed = f"{int((here['information'] > 1).sum())} of {found.sizes['variable']}"
                unsettled = str(found.attrs["n_unsettled"])
                rows.append([f"{n}, {observed}", f"{level:g}", *values, f"{above:.0%}", informed, unsettled])
    print(table(["regions", "SNR, dB", *PARAMETERS, "R² > .5", "directions", "unsettled"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--limits", action="store_true", help="the table of limits")
    parser.add_argument("--draws", type=int, default=8, help="draws from the prior for the table")
    arguments = parser.parse_args()
    np.seterr(all="raise", under="ignore")
    limits(arguments.draws) if arguments.limits else timings()


if __name__ == "__main__":
    main()
