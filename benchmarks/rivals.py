"""All peers with all of their schemes, as candidates; and why some are missing."""

from __future__ import annotations

from collections.abc import Callable

from peers import PEERS, Peer, Unsupported, load
from turns import Run

SCHEMES = ("euler", "heun")


def candidates(case: Callable[[str, Peer, str], Run]) -> tuple[dict[str, Run], dict[str, str]]:
    """Ask every peer for a case.

    Parameters
    ----------
    case
        Function (name, peer, scheme) that gives a timed run, or raises ``Unsupported``.

    Returns
    -------
    found
        Runs by the name of the peer and its scheme.
    missing
        Reasons by the name of the peer, which lacks the case in every scheme.
    """
    found: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for name in PEERS:
        for scheme in SCHEMES:
            try:
                found[f"{name} {scheme}"] = case(name, load(name), scheme)
            except Unsupported as reason:
                missing[name] = str(reason)
    return found, {
        name: why for name, why in missing.items() if not any(f"{name} {s}" in found for s in SCHEMES)
    }


def remarks(found: dict[str, Run], missing: dict[str, str], *cases: str) -> str:
    """What a reader must know of the peers that were found, and why others were not; a line each."""
    lines = [f"  {name} is missing: {why}" for name, why in missing.items()]
    for name in dict.fromkeys(name.split()[0] for name in found):
        notes = [load(name).NOTES[case] for case in cases if case in load(name).NOTES]
        lines += [f"  {name}: {'; '.join(notes)}"] if notes else []
    return "\n".join(lines)
