"""One validated object for everything a user can choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jrflow.lazy import load_at_first_use

if TYPE_CHECKING:
    from jrflow.config.config import Config
    from jrflow.config.load import ConfigError, load_config

#: Public names and the modules they come from; who only simulates need not wait for the settings' models.
_PUBLIC = {
    "Config": "jrflow.config.config",
    "ConfigError": "jrflow.config.load",
    "load_config": "jrflow.config.load",
}
__all__ = ["Config", "ConfigError", "load_config"]

__getattr__ = load_at_first_use(__name__, _PUBLIC)
