"""Whether a store that is already there is the one that is wanted."""

from __future__ import annotations

from typing import NoReturn

from upath import UPath

from jrflow.archive.attributes import created_with, read_specification
from jrflow.archive.errors import ArchiveMismatchError
from jrflow.provenance import version_changes
from jrflow.specification import Differences, Specification


def check_belongs(store: UPath, specification: Specification) -> None:
    """Make sure that a store was created for exactly this specification.

    Raises
    ------
    ArchiveMismatchError
        If not; the message lists every difference and the ways out. The store is left as it is.
    """
    found = read_specification(store).differences(specification)
    if found:
        refuse(store, found)


def refuse(store: UPath, found: Differences, reason: str = "") -> NoReturn:
    """Raise the error that lists the differences of a store from what is wanted, and the ways out."""
    lines = [
        f"  {key}: in the store {there}, expected {expected}" for key, (there, expected) in found.items()
    ]
    raise ArchiveMismatchError(
        "\n".join([f"{store} holds another campaign; it differs in", *lines])
        + f"\n{reason}It is not overwritten. Give this run another name (run.name), restore the settings, "
        f"or, if these simulations are no longer wanted, delete them: rm -r '{store}'"
    )


def changed_versions(store: UPath) -> list[str]:
    """Packages that have another version now than when the store was created: 'numba 0.61 -> 0.62'."""
    return version_changes(created_with(store)["versions"])
