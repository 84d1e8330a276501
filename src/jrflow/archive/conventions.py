"""Attributes by which others find out what an archive is: the conventions CF and ACDD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jrflow.model import MODEL
from jrflow.provenance import content_hash


def conventions(specification: Mapping[str, Any], version: str) -> dict[str, str]:
    """Describe a campaign's archive to programs and people who know nothing of it.

    Parameters
    ----------
    specification
        Everything that the simulations depend on.
    version
        Version of jrflow that created it.
    """
    simulation = specification["simulation"]
    what = "Evoked responses" if simulation["protocol"]["kind"] == "evoked" else "Resting activity"
    of_whom = "a cortical column" if simulation["connectome"] is None else "networks of cortical columns"
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"{what} of {of_whom}: campaign {specification['campaign']}",
        "summary": (
            f"{what} of {of_whom}, simulated with the {MODEL.name} neural mass model (preset "
            f"{specification['preset']}) for parameters of a {specification['design']} design. Each value of "
            "'sim' is one simulation; its parameters are coordinates over 'sim', its outcome is 'status'."
        ),
        "keywords": f"EEG, {MODEL.name}, neural mass model, simulation, parameter inference",
        "id": content_hash(specification),
        "source": f"numerical simulation of the {MODEL.name} neural mass model by jrflow {version}",
        "references": MODEL.references,
    }
