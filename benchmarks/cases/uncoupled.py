"""Columns alone: the kernel beside the core's peak, and beside every peer."""

from __future__ import annotations

from flops import per_step
from ours import Ours, averaged, kept
from peak import peak
from peers import BACKGROUND, Peer, load, spread
from rivals import candidates, remarks
from table import Table, number, times
from turns import Measured, Run, in_turns

N_SIMS = 1024
SOLVERS, PRECISIONS = ("euler", "exp-ab4", "strang"), ("float32", "float64")
#: Steps of a run; a thousand steps of some peers take too long, of others no time.
STEPS = {"published": 2000, "tvb": 100, "vbi-numpy": 200, "vbi-numba": 5000, "vbi-cpp": 10_000}


def run(quick: bool) -> None:
    """Print jrflow with three ways of recording, and the peers."""
    peaks = {precision: peak(precision) for precision in PRECISIONS}
    written = ", ".join(f"{peaks[precision] / 1e9:.0f} GFLOP/s {precision}" for precision in PRECISIONS)
    print(f"\nPeak of the core, fused multiply-adds at full width: {written}")
    kinds = [f"{solver} {precision}" for precision in PRECISIONS for solver in SOLVERS]
    n_trials = 6 if quick else 60
    evoked = {f"evoked {kind}": averaged(*kind.split(), N_SIMS, n_trials) for kind in kinds}
    rest = {f"rest {kind}": kept(*kind.split(), N_SIMS, 500 if quick else 2000) for kind in kinds}
    rare = {f"rare {kind}": kept(*kind.split(), N_SIMS, 2000 if quick else 20_000, 100) for kind in kinds}
    peers, missing = candidates(peer_case)
    runs: dict[str, Run] = {**rare, **evoked, **rest, **peers}
    measured = in_turns(runs, 3 if quick else 9)
    for how, ours in (
        ("at rest, keeping one step of 100", rare),
        (f"averaging {n_trials} evoked trials as they go, no early stop", evoked),
        ("at rest, keeping every step, as the peers do", rest),
    ):
        print(_ours(how, ours, measured, peaks, measured.get("tvboptim euler")))
    print(_theirs(peers, rest, measured))
    print(remarks(peers, missing, "uncoupled"))


def peer_case(name: str, peer: Peer, scheme: str) -> Run:
    """The peer's columns, with about as many steps as take a tenth of a second."""
    return peer.uncoupled(spread(N_SIMS), BACKGROUND, STEPS.get(name, 2000), 1e-3, scheme)


def _ours(
    title: str,
    runs: dict[str, Ours],
    measured: dict[str, Measured],
    peaks: dict[str, float],
    best: Measured | None,
) -> Table:
    columns = (
        "flop/step",
        "loop n-s/s",
        "GFLOP/s",
        "of peak",
        "call n-s/s",
        "loop/tvboptim",
        "call/tvboptim",
    )
    table = Table(f"jrflow {title}; {N_SIMS} columns alone", *columns)
    for name, run in runs.items():
        _, solver, precision = name.split()
        flop, loop, call = per_step(solver, precision), run.loop_rate, measured[name].rate
        beside = [times(rate / best.rate) if best else "-" for rate in (loop, call)]
        speed = [f"{flop * loop / 1e9:.0f}", f"{flop * loop / peaks[precision]:.0%}"]
        table.add(f"{solver} {precision}", f"{flop}", number(loop), *speed, number(call), *beside)
    return table


def _theirs(peers: dict[str, Run], ours: dict[str, Ours], measured: dict[str, Measured]) -> Table:
    """Peers, and how many times faster jrflow is in the same precision."""
    columns = [f"{solver} {what}" for solver in ("euler", "exp-ab4") for what in ("loop", "call")]
    title = "Peers, and how many times jrflow is faster in their precision, keeping every step"
    table = Table(title, "precision", "n-s/s", *columns)
    for name in peers:
        precision, rate = load(name.split()[0]).PRECISION, measured[name].rate
        cells = []
        for rival in (f"rest euler {precision}", f"rest exp-ab4 {precision}"):
            cells += [times(ours[rival].loop_rate / rate), times(measured[rival].rate / rate)]
        table.add(name, precision, number(rate), *cells)
    return table
