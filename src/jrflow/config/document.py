"""YAML with line numbers: the text of a configuration, and where each of its keys stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from jrflow.config.fault import ConfigError, Fault, Key, Origin

_START = "'jrflow config default' prints a configuration to start from"


#: 1e-3 as a number, for a loader or a dumper: PyYAML follows YAML 1.1, where it is a string.
EXPONENTS: tuple[Any, ...] = (
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number."""


_Loader.add_implicit_resolver(*EXPONENTS)


class Document:
    """A mapping read from a YAML file.

    Parameters
    ----------
    path
        The file.
    start
        Advice for who has none.

    Attributes
    ----------
    data
        The content; keys are strings, as written.
    origin
        File name and the line of every key.
    faults
        Keys that are given twice.
    """

    def __init__(self, path: Path, start: str = _START) -> None:
        self._start = start
        self.data: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self._lines: dict[Key, int] = {}
        self._open: list[yaml.Node] = []
        self._checked: set[int] = set()
        self.origin = Origin(str(path), self._lines)
        self._loader = _Loader(self._text(path))
        try:
            node = self._loader.get_single_node()
            content = None if node is None else self._build(node, ())
        except yaml.YAMLError as error:
            self._refuse_yaml(error)
        if content is None:
            self._refuse(f"the file is empty; {self._start}")
        if not isinstance(content, dict):
            self._refuse(
                f"expected sections (key: value), received a {type(content).__name__}; {self._start}"
            )
        self.data = content

    def _refuse(self, message: str) -> NoReturn:
        raise ConfigError([Fault((), message)], self.origin) from None

    def _refuse_yaml(self, error: yaml.YAMLError) -> NoReturn:
        told = (getattr(error, "context", None), getattr(error, "problem", None))
        problem = " ".join(part for part in told if part) or str(error)
        mark = getattr(error, "problem_mark", None)
        if mark is not None:
            self._lines[()] = mark.line + 1
        hint = "; indent with spaces, not with tabs" if "\\t" in problem else ""
        self._refuse(f"not valid YAML: {problem}{hint}")

    def _text(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self._refuse(f"no such file in {Path.cwd()}; {self._start}")
        except OSError as error:
            self._refuse(f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self._refuse(f"expected text in UTF-8, but byte {error.start} is none; save it as UTF-8")

    def _build(self, node: yaml.Node, key: Key) -> Any:
        """Turn a node into plain Python, noting the line of every key on the way."""
        self._lines.setdefault(key, node.start_mark.line + 1)
        if any(node is outer for outer in self._open):
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            if isinstance(node, yaml.SequenceNode):
                return [self._build(item, (*key, position)) for position, item in enumerate(node.value)]
            return self._loader.construct_object(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        self._refuse_twice(node, key)
        self._loader.flatten_mapping(node)
        content = {}
        for name, value in node.value:
            content[name.value] = self._build(value, (*key, name.value))
        return content

    def _refuse_twice(self, node: yaml.MappingNode, key: Key) -> None:
        if id(node) in self._checked:  # an alias, whose merged keys now stand beside its own
            return
        self._checked.add(id(node))
        first: dict[str, int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="expected a name as key, received a list or mapping",
                    problem_mark=name.start_mark,
                )
            line = name.start_mark.line + 1
            self._lines[*key, name.value] = line
            if name.value in first:
                message = f"given twice, first at line {first[name.value]}; keep one of them"
                self.faults.append(Fault((*key, name.value), message))
            first.setdefault(name.value, line)
