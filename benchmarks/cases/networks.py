"""Stochastic networks of 32 simulations, without delays and with them, beside every peer that can."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ours import Ours, brain, network
from peers import Peer
from rivals import candidates, remarks
from table import Table, number, times
from turns import Measured, Run, in_turns

from jrflow.model.connectome import Connectome

N_SIMS, NOISE_SD = 32, 100.0
PRECISIONS = ("float32", "float64")
#: m/s: TVB's default.
SPEED = 3.0
#: Steps of a run, as a part of jrflow's, of the peers of which a thousand steps take too long.
PART = {"tvb": 0.05, "vbi-numpy": 0.2, "vbi-cpp": 0.1}


def coupled(quick: bool) -> None:
    """Without delays; and what the matrix product, the noise and recording take of it."""
    steps = 200 if quick else 1000
    for n_regions in (84,) if quick else (84, 400, 1000):
        connectome = brain(n_regions)
        ours = _ours(connectome, steps)
        silent = {f"silent {p}": _network(connectome, steps, p, every=100, noise_sd=0.0) for p in PRECISIONS}
        products = {f"product {p}": product(connectome.weights.astype(p), steps) for p in PRECISIONS}
        peers, missing = candidates(_peer_case(connectome, steps, None))
        measured = in_turns({**ours, **silent, **products, **peers}, 3 if quick else 5)
        print(_table(f"{n_regions} regions, no delays", ours, peers, measured))
        print(_parts(ours, silent, measured))
        print(remarks(peers, missing, "coupled", "noise"))


def delays(quick: bool) -> None:
    """With delays."""
    steps = 200 if quick else 1000
    for n_regions in (84,) if quick else (84, 400):
        connectome = brain(n_regions)
        late = connectome.delays(SPEED, 1e-3)
        ours = _ours(connectome, steps, SPEED)
        peers, missing = candidates(_peer_case(connectome, steps, late))
        measured = in_turns({**ours, **peers}, 3 if quick else 5)
        linked = late[connectome.weights != 0]
        span = f"{linked.min()} to {linked.max()} steps, mean {linked.mean():.0f}"
        print(_table(f"{n_regions} regions, delays of {span}", ours, peers, measured))
        for precision in PRECISIONS:
            rate = 2 * n_regions * ours[f"rare {precision}"].loop_rate / 1e9
            print(f"  {precision}: what regions receive is summed at more than {rate:.0f} GFLOP/s")
        print(remarks(peers, missing, "delays", "noise"))


def _network(
    connectome: Connectome,
    steps: int,
    precision: str,
    speed: float = np.inf,
    every: int = 1,
    noise_sd: float = NOISE_SD,
) -> Ours:
    kept = {"sfreq": 1000 / every}
    return network(connectome, N_SIMS, steps, noise_sd=noise_sd, precision=precision, speed=speed, **kept)


def _ours(connectome: Connectome, steps: int, speed: float = np.inf) -> dict[str, Ours]:
    """jrflow in each precision, keeping all steps, or one of a hundred."""
    kinds = {"all": 1, "rare": 100}
    return {
        f"{kind} {precision}": _network(connectome, steps, precision, speed, every)
        for kind, every in kinds.items()
        for precision in PRECISIONS
    }


def product(weights: np.ndarray, steps: int) -> Run:
    """The matrix product of every step, and nothing else."""
    rates = np.random.default_rng(0).uniform(size=(len(weights), N_SIMS)).astype(weights.dtype)
    received = np.empty_like(rates)

    def run() -> int:
        for _ in range(steps):
            np.dot(weights, rates, received)
        return steps * rates.size

    return run


def _peer_case(
    connectome: Connectome, steps: int, late: np.ndarray | None
) -> Callable[[str, Peer, str], Run]:
    """A peer's network, with as many steps as take seconds at most."""

    def case(name: str, peer: Peer, scheme: str) -> Run:
        slow = name == "tvboptim" and late is not None and connectome.n_regions > 100
        own = max(20, round(steps * (0.1 if slow else PART.get(name, 1.0))))
        return peer.coupled(connectome.weights, N_SIMS, own, 1e-3, NOISE_SD, late, scheme)

    return case


def _table(title: str, ours: dict[str, Ours], peers: dict[str, Run], measured: dict[str, Measured]) -> Table:
    columns = [f"{precision} {what}" for precision in PRECISIONS for what in ("loop", "call")]
    heading = f"{title}: {N_SIMS} simulations, noise, Strang splitting; how many times jrflow is faster"
    table = Table(heading, "n-s/s", *columns)
    rates = {}
    for kind, name in (("rare", "jrflow, one step of 100 kept"), ("all", "jrflow, every step kept")):
        runs = [f"{kind} {precision}" for precision in PRECISIONS]
        rates[kind] = [rate for run in runs for rate in (ours[run].loop_rate, measured[run].rate)]
        table.add(name, "", *map(number, rates[kind]))
    for kind, what in (("all", ""), ("rare", ", jrflow keeping one of 100")):
        for name in peers if kind == "all" else [name for name in peers if name.startswith("tvboptim")]:
            rate = measured[name].rate
            table.add(f"{name}{what}", number(rate), *(times(r / rate) for r in rates[kind]))
    return table


def _parts(ours: dict[str, Ours], silent: dict[str, Ours], measured: dict[str, Measured]) -> Table:
    """Nanoseconds of a node-step: what the call adds to the loop, and the parts of that."""
    title = "Where jrflow's time goes with every step kept: ns a node-step"
    table = Table(title, "call", "loop", "of it recording", "noise", "product", "columns and rest")
    for precision in PRECISIONS:
        every, rare = (1e9 / ours[f"{kind} {precision}"].loop_rate for kind in ("all", "rare"))
        noise = rare - 1e9 / silent[f"silent {precision}"].loop_rate
        alone = 1e9 / measured[f"product {precision}"].rate
        parts = (every - rare, noise, alone, rare - noise - alone)
        call = 1e9 / measured[f"all {precision}"].rate
        table.add(precision, *(f"{ns:.2f}" for ns in (call, every, *parts)))
    return table
