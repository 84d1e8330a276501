"""Names in one section that stand for an entry in another.

They are checked on plain mappings, so that a wrong reference is reported together with the faults
that keep the sections themselves from being read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jrflow.config.fault import Fault, Key, dotted
from jrflow.config.suggest import did_you_mean

#: Designs whose simulations are draws from the prior: what may be trained and scored on.
_DRAWS = ("prior", "lhs", "sobol-sequence")


@dataclass(frozen=True)
class _Reference:
    """The value at ``key`` ('*': any) must be an entry of ``target``, of one of ``designs``."""

    key: str
    target: str
    designs: tuple[str, ...] = ()


_REFERENCES = (
    _Reference("campaigns.*.prior", "priors"),
    _Reference("inference.models.*.train", "campaigns", _DRAWS),
    _Reference("inference.models.*.test", "campaigns", _DRAWS),
    _Reference("inference.models.*.network", "inference.networks"),
    _Reference("inference.learning_curve.model", "inference.models"),
    _Reference("inference.apply.model", "inference.models"),
    _Reference("inference.apply.noise", "eeg.noise"),
    _Reference("sensitivity.sobol.*", "campaigns", ("saltelli",)),
    _Reference("sensitivity.one_at_a_time.*", "campaigns", ("one-at-a-time",)),
)


def reference_faults(data: Mapping[str, Any]) -> list[Fault]:
    """Find every reference to something that is not there or not of the right design.

    Parameters
    ----------
    data
        A configuration as plain mappings, complete or not; what has the wrong shape is passed over.
    """
    faults: list[Fault] = []
    for reference in _REFERENCES:
        for _, entries in _find(data, reference.target.split(".")):
            for key, name in _find(data, reference.key.split(".")):
                if isinstance(entries, Mapping) and isinstance(name, str):
                    faults += _check(reference, key, name, entries)
    return faults


def _check(reference: _Reference, key: Key, name: str, entries: Mapping[str, Any]) -> Iterator[Fault]:
    if name not in entries:
        message = f"unknown entry {name!r} of {reference.target}{did_you_mean(name, entries)}"
        yield Fault(key, message, (key, (*reference.target.split("."), name)))
    elif reference.designs:
        for place, design in _find(entries, [name, "design"]):
            if design not in reference.designs:
                wanted = " or ".join(reference.designs)
                where = dotted((*reference.target.split("."), *place))
                message = f"expected a campaign of design {wanted}, but {where} is {design!r}"
                yield Fault(key, message, (key, (*reference.target.split("."), *place)))


def _find(data: Any, pattern: Sequence[str], key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield (key, value) for every place that a pattern with '*' matches."""
    if not pattern:
        yield key, data
        return
    step, *rest = pattern
    items: list[tuple[str | int, Any]] = []
    if isinstance(data, Mapping):
        items = [(name, value) for name, value in data.items() if step in ("*", name)]
    elif isinstance(data, list | tuple) and step == "*":
        items = list(enumerate(data))
    for name, value in items:
        yield from _find(value, rest, (*key, name))
