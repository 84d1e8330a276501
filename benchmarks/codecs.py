"""How small an archive's source becomes, and how quickly, with other codecs and with rounded mantissas.

    python benchmarks/codecs.py [--only evoked,network,rest] [--repeats 5] [--core 1]

A shard is written to and read from memory through zarr, by its chunks, on one core; CPU time, medians over
repeats taken in turns. Decoding alone is what `jrflow.archive.chunks` does with a chunk, without zarr around
it. Rounding keeps so many bits of the mantissa (of 23), to the nearest, ties to even, as numcodecs' BitRound
does; beside it stands the largest error relative to the value, and that of a response relative to its range.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import zarr
from numcodecs import Blosc, Zstd, blosc
from table import Table
from turns import Measured, in_turns
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.sync import sync
from zarr.storage import MemoryStore

import jrflow
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design.priors import Prior

PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
OWN = ("zstd", 1, "shuffle")
KEPT_BITS = (16, 12, 10)


def drawn(n_sims: int) -> dict[str, np.ndarray]:
    return dict(zip(PRIOR.names, PRIOR.sample(n_sims, 0).T, strict=True))


def evoked(n_sims: int) -> np.ndarray:
    return jrflow.simulate(drawn(n_sims))["source"].values


def network(n_sims: int) -> np.ndarray:
    """Evoked responses of 68 regions; G differs."""
    parameters = drawn(n_sims) | {"G": np.linspace(0, 5, n_sims)}
    return jrflow.simulate(parameters, connectome=jrflow.Connectome.synthetic(68))["source"].values


def rest(n_sims: int) -> np.ndarray:
    """Ten seconds of one column with noise as strong as in Jansen & Rit 1995."""
    protocol = jrflow.RestProtocol(background=220.0, noise_sd=57.7)
    return jrflow.simulate(drawn(n_sims), protocol=protocol)["source"].values


#: Name: what it is, how it is made, simulations, simulations in a chunk.
CASES: dict[str, tuple[str, Callable[[int], np.ndarray], int, int]] = {
    "evoked": ("evoked responses of one column", evoked, 4096, 256),
    "network": ("evoked responses of 68 regions", network, 64, 8),
    "rest": ("noisy rest of one column", rest, 512, 32),
}


def rounded(values: np.ndarray, keep: int) -> np.ndarray:
    """float32 with ``keep`` bits of the mantissa, rounded to nearest, ties to even."""
    drop = 23 - keep
    bits = values.view(np.uint32)
    even = (bits >> np.uint32(drop)) & np.uint32(1)
    half = np.uint32((1 << (drop - 1)) - 1)
    return ((bits + even + half) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


class Candidate:
    """A codec: writing, reading and decoding alone return the bytes of float32 that they did."""

    def __init__(
        self, values: np.ndarray, chunk: int, codecs: tuple, alone: Blosc | Zstd | None, keep: int = 23
    ):
        self.values, self.keep, self.alone = values, keep, alone
        self.store = MemoryStore()
        inner = values.shape[1:]
        self.array = zarr.create_array(
            self.store, shape=values.shape, dtype=values.dtype, chunks=(chunk, *inner),
            shards=values.shape, compressors=codecs or None, fill_value=np.float32("nan"),
        )  # fmt: skip
        pieces = [self.rounded()[k : k + chunk] for k in range(0, len(values), chunk)]
        self.encoded = [alone.encode(np.ascontiguousarray(piece)) for piece in pieces] if alone else []
        self.out = np.empty((chunk, *inner), np.float32)

    def rounded(self) -> np.ndarray:
        return self.values if self.keep == 23 else rounded(self.values, self.keep)

    def write(self) -> int:
        self.array[:] = self.rounded()
        return self.values.nbytes

    def read(self) -> int:
        self.array[:]
        return self.values.nbytes

    def decode(self) -> int:
        for encoded in self.encoded:
            self.alone.decode(encoded, self.out)
        return self.values.nbytes

    @property
    def ratio(self) -> float:
        return self.values.nbytes / sync(self.store.getsize_prefix(""))


def candidates(values: np.ndarray, chunk: int) -> dict[str, Candidate]:
    """Every codec, with its name."""

    def of_blosc(name: str, level: int, shuffle: str, *more: Crc32cCodec, keep: int = 23) -> Candidate:
        alone = Blosc(name, level, SHUFFLES.index(shuffle))
        codec = BloscCodec(cname=name, clevel=level, shuffle=shuffle, typesize=4)
        return Candidate(values, chunk, (codec, *more), alone, keep)

    found = {"none": Candidate(values, chunk, (), None)}
    for name, level in (("lz4", 1), ("lz4", 5), ("zstd", 1), ("zstd", 3), ("zstd", 5)):
        for shuffle in SHUFFLES:
            found[f"blosc {name} {level} {shuffle}"] = of_blosc(name, level, shuffle)
    found["zstd 1"] = Candidate(values, chunk, (ZstdCodec(level=1),), Zstd(1))
    for name in ("lz4", "zstd"):
        found[f"blosc {name} 1 shuffle, crc32c"] = of_blosc(name, 1, "shuffle", Crc32cCodec())
        for keep in KEPT_BITS:
            found[f"{keep} bits, blosc {name} 1 shuffle"] = of_blosc(name, 1, "shuffle", keep=keep)
    return found


def errors(values: np.ndarray, keep: int) -> tuple[str, str]:
    """Largest error of a value relative to it, and of a response relative to its range."""
    if keep == 23:
        return "", ""
    apart = abs(rounded(values, keep) - values)
    size = np.where(values == 0, 1, abs(values))
    return f"{(apart / size).max():.1e}", f"{(apart.max(axis=-1) / np.ptp(values, axis=-1)).max():.1e}"


def compare(title: str, values: np.ndarray, chunk: int, repeats: int) -> Table:
    found = candidates(values, chunk)
    written: dict[str, Measured] = in_turns({name: each.write for name, each in found.items()}, repeats)
    read = in_turns({name: each.read for name, each in found.items()}, repeats)
    decoded = in_turns({name: each.decode for name, each in found.items() if each.encoded}, repeats)
    table = Table(
        f"{title}: {values.shape}, {values.nbytes / 1e6:,.0f} MB, chunks of {chunk}; MB/s of float32",
        "ratio", "write", "read", "decode alone", "error", "of range",
    )  # fmt: skip
    for name, each in found.items():
        rates = [f"{m[name].rate / 1e6:,.0f}" if name in m else "" for m in (written, read, decoded)]
        table.add(name, f"{each.ratio:.2f}", *rates, *errors(values, each.keep))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(CASES), help="of these cases, with commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, default=1, help="that all is computed on")
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {arguments.core})
    blosc.use_threads = False
    for name in arguments.only.split(","):
        title, make, n_sims, chunk = CASES[name]
        print(compare(title, make(n_sims), chunk, arguments.repeats), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
