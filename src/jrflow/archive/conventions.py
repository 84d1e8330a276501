"""Attributes by which others find out what an archive is: the conventions CF and ACDD."""

from __future__ import annotations

from jrflow.specification import Specification


def conventions(specification: Specification, version: str) -> dict[str, str]:
    """Describe a campaign's archive to programs and people who know nothing of it.

    Parameters
    ----------
    specification
        Everything that the simulations depend on.
    version
        Version of jrflow that created it.
    """
    simulation, settings = specification.simulation, specification.settings
    what = "Evoked responses" if simulation.protocol.kind == "evoked" else "Resting activity"
    of_whom = "a cortical column" if simulation.connectome is None else "networks of cortical columns"
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"{what} of {of_whom}: campaign {specification.campaign}",
        "summary": (
            f"{what} of {of_whom}, simulated with the Jansen-Rit neural mass model (preset "
            f"{settings.preset}) for parameters of a {settings.design} design. Each value of "
            "'sim' is one simulation; its parameters are coordinates over 'sim', its outcome is 'status'."
        ),
        "keywords": "EEG, Jansen-Rit, neural mass model, simulation, parameter inference",
        "id": specification.identity,
        "source": f"numerical simulation of the Jansen-Rit neural mass model by jrflow {version}",
        "references": "Jansen & Rit (1995), doi:10.1007/BF00199471; Tilwani & O'Reilly, arXiv:2406.05002",
    }
