"""The lock, the conda environments and the package's own ranges say the same."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCK_LINES = [
    line
    for line in (ROOT / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LOCK = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in LOCK_LINES}
CONDA = ["envs/cpu.yaml"]


def requirements(*extras: str) -> list[Requirement]:
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(r for e in extras for r in EXTRAS[e])]]


def conda_pins(name: str) -> dict[str, str]:
    """Package to exact version, of conda's own packages (=) and of those that pip installs (==)."""
    pins = {}
    for entry in yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["dependencies"]:
        lines = entry["pip"] if isinstance(entry, dict) else [entry]
        for found in filter(None, (re.fullmatch(r"([\w.-]+)==?([\w.]+)", line) for line in lines)):
            pins[canonicalize_name(found[1])] = found[2]
    return pins


def test_a_line_of_the_lock_is_one_exact_public_version() -> None:
    """NAME==VERSION, no path, no local part."""
    assert LOCK_LINES
    assert not [line for line in LOCK_LINES if not re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.]+", line)]


def test_the_lock_names_each_package_once_and_never_the_project() -> None:
    assert len(LOCK) == len(LOCK_LINES)
    assert "jrflow" not in LOCK


def test_the_lock_satisfies_the_package() -> None:
    needed = requirements("inference", "workflow", "dev")
    locked = {str(r): LOCK.get(canonicalize_name(r.name), "absent") for r in needed}
    assert "absent" not in locked.values(), locked
    assert not [r for r in needed if not r.specifier.contains(locked[str(r)], prereleases=True)]


@pytest.mark.parametrize("name", CONDA)
def test_conda_pins_what_the_lock_pins(name: str) -> None:
    pins = conda_pins(name)
    python = pins.pop("python")
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])
    assert {package: LOCK.get(package) for package in pins} == pins


@pytest.mark.parametrize("name", CONDA)
def test_conda_has_whatever_the_package_needs(name: str) -> None:
    needed = {canonicalize_name(r.name) for r in requirements("inference", "workflow")}
    assert needed <= set(conda_pins(name))
