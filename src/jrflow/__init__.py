"""Which Jansen-Rit parameters, with what certainty, could have produced this EEG?"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from wrapt import when_imported

from jrflow.lazy import load_at_first_use

if TYPE_CHECKING:
    from jrflow.archive import open_archive
    from jrflow.config import load_config
    from jrflow.limits.networks import network_limits
    from jrflow.model.backend import BackendError
    from jrflow.model.connectome import Connectome
    from jrflow.model.connectome_files import read_connectome
    from jrflow.model.plausible import PlausibilityWarning
    from jrflow.model.protocol import EvokedProtocol, RestProtocol
    from jrflow.observe import Parcels, lead_field, to_evoked
    from jrflow.simulation import simulate

__version__ = version("jrflow")

#: Public names and the modules they come from; loaded at first use, so that `import jrflow` is quick.
_PUBLIC = {
    "BackendError": "jrflow.model.backend",
    "Connectome": "jrflow.model.connectome",
    "EvokedProtocol": "jrflow.model.protocol",
    "Parcels": "jrflow.observe",
    "PlausibilityWarning": "jrflow.model.plausible",
    "RestProtocol": "jrflow.model.protocol",
    "lead_field": "jrflow.observe",
    "load_config": "jrflow.config",
    "network_limits": "jrflow.limits.networks",
    "open_archive": "jrflow.archive",
    "read_connectome": "jrflow.model.connectome_files",
    "simulate": "jrflow.simulation",
    "to_evoked": "jrflow.observe",
}
__all__ = [
    "BackendError",
    "Connectome",
    "EvokedProtocol",
    "Parcels",
    "PlausibilityWarning",
    "RestProtocol",
    "lead_field",
    "load_config",
    "network_limits",
    "open_archive",
    "read_connectome",
    "simulate",
    "to_evoked",
]


__getattr__ = load_at_first_use(__name__, _PUBLIC)

# Every Dataset has `ds.jrflow`, whichever of the two is imported first; xarray itself is not loaded for it.
when_imported("xarray")(lambda _: import_module("jrflow.accessor"))
