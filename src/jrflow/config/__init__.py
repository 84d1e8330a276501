"""One validated object for everything a user can choose."""

from jrflow.config.config import Config
from jrflow.config.load import ConfigError, load_config

__all__ = ["Config", "ConfigError", "load_config"]
