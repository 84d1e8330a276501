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


#: Bounds of a configuration: beyond, a file is something else, or aliases multiply its values without end.
_MOST_BYTES, _MOST_VALUES = 10_000_000, 100_000


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, and merged mappings stay of a reasonable size."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Replace merge keys (<<) by what they name."""
        super().flatten_mapping(node)
        if len(node.value) > _MOST_VALUES:
            raise _too_many(node)


def _too_many(node: yaml.Node) -> yaml.MarkedYAMLError:
    problem = f"more than {_MOST_VALUES:,} values: aliases (*name) repeat what they name"
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


_Loader.add_implicit_resolver(*EXPONENTS)


class Document:
    """A mapping read from a YAML file.

    Parameters
    ----------
    path
        The file.
    start
        Advice for users who have no such file.

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
        self._n_values = 0
        self.origin = Origin(str(path), self._lines)
        text = self._text(path)
        try:
            self._loader = _Loader(text)
            node = self._loader.get_single_node()
            content = None if node is None else self._build(node, ())
        except yaml.YAMLError as error:
            self._refuse_yaml(error)
        except RecursionError:
            self._refuse("not a configuration: lists or mappings are nested too deeply")
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
        parts = (getattr(error, "context", None), getattr(error, "problem", None))
        problem = " ".join(part for part in parts if part) or " ".join(str(error).split())
        mark = getattr(error, "problem_mark", None)
        if mark is not None:
            self._lines[()] = mark.line + 1
        hint = "; indent with spaces, not with tabs" if "\\t" in problem else ""
        self._refuse(f"not valid YAML: {problem}{hint}")

    def _text(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            text = content[:_MOST_BYTES].decode("utf-8-sig")
        except FileNotFoundError:
            self._refuse(f"no such file in {Path.cwd()}; {self._start}")
        except UnicodeDecodeError as error:
            self._refuse(f"expected text in UTF-8, but byte {error.start} is none; save it as UTF-8")
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            self._refuse(f"cannot be read: {getattr(error, 'strerror', None) or error}")
        if len(content) > _MOST_BYTES:
            self._refuse(f"expected a configuration, received more than {_MOST_BYTES // 10**6} MB")
        return text

    def _build(self, node: yaml.Node, key: Key) -> Any:
        """Turn a node into plain Python, noting the line of every key on the way."""
        self._lines.setdefault(key, node.start_mark.line + 1)
        self._n_values += 1
        if self._n_values > _MOST_VALUES:
            raise _too_many(node)
        if any(node is outer for outer in self._open):
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            if isinstance(node, yaml.SequenceNode):
                return [self._build(item, (*key, position)) for position, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"expected a value of type {kind}, received {str(node.value)[:40]!r}",
                problem_mark=node.start_mark,
            ) from error

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
