"""Archives keep their bits from version to version: what is simulated, its parameters, and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import zarr
from numba.core.codegen import get_host_cpu_features

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]

EVOKED = {"kind": "evoked", "n_trials": 3, "isi": 0.25, "tmin": -0.05, "tmax": 0.15, "transient": 0.05}
REST = {"kind": "rest", "duration": 0.1, "transient": 0.02, "background": 120.0, "noise_sd": 60.0}
NETWORK = {"kind": "synthetic", "n_regions": 4, "seed": 3, "normalise": "in-strength"}
COUPLED = {
    "kind": "independent",
    "parameters": {"G": {"low": 0.0, "high": 40.0}, "A_e": {"low": 2.6, "high": 4.0}},
}

#: Settings of the simulation, by name, and of the campaign and its prior where they are not the usual ones.
SIMULATIONS: dict[str, dict[str, Any]] = {
    "column, evoked": {"simulation": {"protocol": EVOKED}},
    "column, rest": {"simulation": {"protocol": REST}},
    "column, saltelli": {"simulation": {"protocol": EVOKED}, "campaign": {"design": "saltelli", "n": 2}},
    "network": {
        "simulation": {"protocol": EVOKED | {"background": 90.0}, "connectome": NETWORK},
        "priors": {"half": COUPLED},
    },
    "network with delays, rest": {
        "simulation": {"protocol": REST, "connectome": NETWORK | {"speed": 6.0}},
        "priors": {"half": COUPLED},
    },
}
CASES = [f"{name}, {precision}" for name in SIMULATIONS for precision in ("float32", "float64")]
#: Variables that the kernel computes, and whose last digits depend on the kind of processor.
SIMULATED = ("failed_step", "n_trials", "source", "status")


class Stored(NamedTuple):
    """What is known of an archive.

    Attributes
    ----------
    identity
        Hash of all that its simulations depend on (``config_hash``).
    design
        Of parameters, labels, and of the shape, chunks, codecs and attributes of every variable.
    simulated
        Of source, status, failed steps and trials, computed on a processor with AVX-512.
    sd
        Standard deviation of the source, mV.
    """

    identity: str
    design: str
    simulated: str
    sd: float


def digest(parts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def described(array: zarr.Array) -> bytes:
    metadata = array.metadata.to_dict()
    kept = {key: metadata[key] for key in ("shape", "chunk_grid", "attributes", "dimension_names")}
    return json.dumps(kept | {"dtype": str(array.dtype)}, sort_keys=True, default=str).encode()


def values(array: zarr.Array) -> bytes:
    read = np.asarray(array[:])
    return "\n".join(read.tolist()).encode() if read.dtype.kind in "OTU" else read.tobytes()


@pytest.fixture(scope="module")
def found(tiny_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stored]:
    """What is there of the archive of a case, which is made once."""
    made: dict[str, Stored] = {}

    def make(case: str) -> Stored:
        if case not in made:
            name, precision = case.rsplit(", ", 1)
            made[case] = stored_of(
                tiny_config, tmp_path_factory.mktemp("archive"), SIMULATIONS[name], precision
            )
        return made[case]

    return make


def stored_of(tiny_config: MakeConfig, folder: Path, sections: dict[str, Any], precision: str) -> Stored:
    simulation = sections["simulation"] | {"precision": precision}
    priors = {key: sections[key] for key in ("priors",) if key in sections}
    execution = {"backend": "in-process", "shard_size": 8, "chunk_size": 4}
    campaign = {"n": 20} | sections.get("campaign", {})
    config = tiny_config(campaign, simulation=simulation, execution=execution, **priors)
    manifest = run_campaign(config, "train", folder, progress=None)
    group = zarr.open_group(folder / "train.zarr", mode="r", zarr_format=3, use_consolidated=False)
    arrays = {str(name): array for name, array in sorted(group.arrays())}
    design = [text for name, a in arrays.items() for text in (name.encode(), described(a))]
    design += [values(a) for name, a in arrays.items() if name not in SIMULATED]
    simulated = [values(arrays[name]) for name in SIMULATED]
    sd = float(open_archive(folder / "train.zarr")["source"].std(dtype=float))
    return Stored(manifest.config_hash[:16], digest(design), digest(simulated), sd)


#: As at version 0.1 and the commit after it, 62a1208.
STORED = {
    "column, evoked, float32": Stored("edd6343d2e8d6337", "d14c8cd30cd30022", "8b6d6500b7641069", 28.3217179),
    "column, evoked, float64": Stored("8fe1d764fbbc0064", "2b765905e488d6aa", "84b7c1c71e451c60", 28.3217095),
    "column, rest, float32": Stored("e538a367b11072ae", "e2a119a45255abd3", "98de79cf12ab2fc9", 5.2444567),
    "column, rest, float64": Stored("61a7adcf9b0cc562", "64dd414e216d101a", "046f0271c064b5a1", 5.2444565),
    "column, saltelli, float32": Stored(
        "c2d396c8ba040e07", "c01f084390b16cab", "cf50a9e6194dc716", 18.3634150
    ),
    "column, saltelli, float64": Stored(
        "ac07b46c76bcff08", "c3b90f4033f1815f", "0dbdb5b9d5d4329d", 18.3634269
    ),
    "network, float32": Stored("8fcfbf9729cb3803", "bac6d0c175de7a12", "b12c3f99be8cb815", 21.7644067),
    "network, float64": Stored("9f0c0921c33360ab", "c30ca02a147e190d", "68db6a1b81d48650", 21.7643995),
    "network with delays, rest, float32": Stored(
        "fabd81d7f029a378", "ec138df7d128cad9", "8ef77f29433f5aab", 4.3876074
    ),
    "network with delays, rest, float64": Stored(
        "80a60fb74cb96760", "01ecbb824ebad5a2", "a5adcda074ad747e", 4.3876070
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_identity_and_design_stay(found: Callable[[str], Stored], case: str) -> None:
    there, expected = found(case), STORED[case]
    assert (there.identity, there.design) == (expected.identity, expected.design)
    assert there.sd == pytest.approx(expected.sd, rel=1e-5 if case.endswith("float32") else 1e-6)


@pytest.mark.skipif(
    "+avx512f" not in get_host_cpu_features(), reason="bits were stored on a processor with AVX-512"
)
@pytest.mark.parametrize("case", CASES)
def test_simulations_keep_their_bits(found: Callable[[str], Stored], case: str) -> None:
    assert found(case).simulated == STORED[case].simulated
