"""Find the optional part (extra) of jrflow that installs a missing package."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions, requires

#: Packages whose modules have another name. If a package is not installed, no metadata lists its modules.
_PACKAGES = {
    "dask_jobqueue": "dask-jobqueue",
    "sklearn": "scikit-learn",
    "snakemake_executor_plugin_slurm": "snakemake-executor-plugin-slurm",
}
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
#: Extras that are never advised: those for developers, and those that only combine others.
_NOT_ADVISED = ("all", "dev", "bench")


def advice(error: ModuleNotFoundError) -> str:
    """Say which package is missing, and how to install it."""
    module = (error.name or "").partition(".")[0]
    if not module:
        return str(error)
    package = _PACKAGES.get(module) or next(iter(packages_distributions().get(module, ())), module)
    extra = extra_of(package)
    if extra is None:
        return f"the module {module!r} is missing, and it belongs to no extra of jrflow: reinstall jrflow"
    what = f"jrflow[{extra}]" if extra else "jrflow"
    return f"the package {package!r} is missing; install it: pip install '{what}'"


def extra_of(package: str) -> str | None:
    """Extra of jrflow that installs a package; '' if jrflow itself requires it; None if nothing does."""
    found: list[str] = []
    for requirement in requires("jrflow") or ():
        name = _NAME.match(requirement)
        if name and _canonical(name[0]) == _canonical(package):
            extra = _EXTRA.search(requirement)
            found.append(extra[1] if extra else "")
    advised = [extra for extra in found if extra not in _NOT_ADVISED]
    return min(advised, key=len) if advised else None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
