"""Public names of a package that are loaded at first use, so that importing it is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_at_first_use(package: str, public: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's ``__getattr__``.

    Parameters
    ----------
    package
        Its name.
    public
        Public names and the modules that they come from.
    """

    def load(name: str) -> Any:
        if name not in public:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(public[name]), name)
        # Bound there, so that the next look-up does not come this way.
        setattr(sys.modules[package], name, value)
        return value

    return load
