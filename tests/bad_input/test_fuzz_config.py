"""Random damage to configurations: whatever is in them, the only error is ConfigError."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from jrflow.config.config import Config
from jrflow.config.document import Document
from jrflow.config.fault import ConfigError, dotted
from jrflow.planning.feasibility import load_checked, parse_checked
from jrflow.planning.plausibility import implausible

ROOT = Path(__file__).parents[2]
FILES = ("config.yaml", "tests/tiny.yaml", "examples/whole-brain.yaml", "examples/benchmark.yaml")
VALUES = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 3, 7, 1e-3, 0.5, -0.5, 1e6, 1e12, 1e30, 1e300, -1e300,
        2**53, 2**63, 10**400,
        float("nan"), float("inf"), -float("inf"), "", "x", "none", "train", "test", "\0", "a/b", "..",
        "é" * 300,
        "1e-3", "evoked", "rest", [], [[]], [1, 2, 3], ["train"], {}, {"kind": "x"}, {"a": {"b": {}}},
        datetime.date(2024, 1, 1), b"bytes",
    ]
)  # fmt: skip
DAMAGE = st.lists(
    st.tuples(st.sampled_from(["drop", "retype", "rename", "nest", "double"]), st.integers(0, 10**6), VALUES),
    min_size=1,
    max_size=4,
)


@cache
def original(name: str) -> dict[str, Any]:
    return Document(ROOT / name).data


def checked(call: Callable[[], Config]) -> Config | ConfigError:
    """What a call returns, or the one error that it may raise."""
    try:
        return call()
    except ConfigError as error:
        return error


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and position of a configuration."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for step, value in items for found in ((*path, step), *places(value, (*path, step)))]


def damaged(name: str, damage: list[tuple[str, int, Any]]) -> dict[str, Any]:
    data = deepcopy(original(name))
    for how, where, value in damage:
        everywhere = places(data)
        if not everywhere:
            break
        *path, last = everywhere[where % len(everywhere)]
        holder: Any = data
        for step in path:
            holder = holder[step]
        before = holder[last]
        if how == "drop":
            del holder[last]
        elif how == "rename" and isinstance(holder, dict):
            holder[f"{last}_"] = holder.pop(last)
        elif how == "nest":
            holder[last] = {"x": before}
        elif how == "double" and isinstance(before, int | float):
            holder[last] = before * 1_000_000
        else:
            holder[last] = deepcopy(value)
    return data


@pytest.mark.slow
@settings(max_examples=4 * settings().max_examples)
@given(st.sampled_from(FILES), DAMAGE)
def test_a_damaged_configuration_is_used_or_refused(name: str, damage: list[tuple[str, int, Any]]) -> None:
    data = damaged(name, damage)
    outcome = checked(lambda: parse_checked(data))
    if isinstance(outcome, ConfigError):
        assert outcome.faults
        assert "pydantic.dev" not in str(outcome)
        assert all(fault.message and dotted(fault.key) for fault in outcome.faults)
    else:
        assert all(fault.message for fault in implausible(outcome))


@pytest.mark.slow
@settings(max_examples=3 * settings().max_examples)
@given(st.text(alphabet="a: -{}[]&*!<>'\"\n\t|%@?,#~0.1eé", max_size=60), st.integers(0, 10**6))
def test_damaged_text_is_used_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, where: int
) -> None:
    whole = (ROOT / "tests/tiny.yaml").read_text(encoding="utf-8")
    position = where % len(whole)
    path = tmp_path_factory.mktemp("fuzz") / "config.yaml"
    path.write_text(whole[:position] + text + whole[position:], encoding="utf-8")
    outcome = checked(lambda: load_checked(path))
    assert not isinstance(outcome, ConfigError) or outcome.faults


def test_the_originals_are_sound() -> None:
    for name in FILES:
        assert yaml.safe_dump(parse_checked(original(name)).model_dump(mode="json"))
