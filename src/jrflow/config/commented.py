"""A configuration as YAML in which every field is explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from jrflow.config.document import EXPONENTS
from jrflow.config.schema_tree import Node, SchemaTree
from jrflow.config.section import Section

_WIDTH = 100


class _Dumper(yaml.SafeDumper):
    """Safe YAML in which a word such as 1e3 is quoted, since ``Document`` would read a number."""


_Dumper.add_implicit_resolver(*EXPONENTS)

_HEADER = """\
yaml-language-server: $schema=workflow/schemas/config.schema.json

A run of jrflow. Every field is explained where it first appears. A field that is left out takes its
default. Paths are relative to the directory in which jrflow or Snakemake is run. Check a changed
file with: jrflow config check config.yaml
"""


def commented_yaml(config: Section, header: str = _HEADER) -> str:
    """Write a configuration as YAML with a comment on every field, also on those not in use.

    The first entry of each kind is written out; further ones take one line and name only what
    differs from the defaults.
    """
    writer = _Writer(SchemaTree(type(config).model_json_schema()))
    return "\n".join([*_comment(header), *writer.root(config.model_dump(mode="json"))]) + "\n"


class _Writer:
    """Walks values and schema together; remembers which sections have been explained."""

    def __init__(self, tree: SchemaTree) -> None:
        self._tree = tree
        self._explained: list[Node] = []

    def root(self, values: dict[str, Any]) -> Iterator[str]:
        for name, node in self._tree.fields(self._tree.root).items():
            yield ""
            yield from self._field(name, node, values[name])

    def _field(self, name: str, node: Node, value: Any) -> Iterator[str]:
        yield from _comment(_explanation(node, self._tree.resolve(node)))
        if not isinstance(value, dict):
            yield f"{name}: {_flow(value)}"
            yield from _indent(self._unused(node))
        elif not value:
            yield f"{name}: {{}}"
        else:
            yield f"{name}:"
            yield from _indent(self._mapping(node, value))

    def _mapping(self, node: Node, values: dict[str, Any]) -> Iterator[str]:
        """A section, a member of a union, or named entries."""
        entry = self._tree.entry(node)
        if entry is not None:
            for name, value in values.items():
                yield from self._entry(name, entry, value)
            yield from self._other_kinds(entry)
        else:
            yield from self._section(self._member(node, values), values)
            yield from self._other_kinds(node)

    def _entry(self, name: str, node: Node, values: dict[str, Any]) -> Iterator[str]:
        section = self._member(node, values)
        if section in self._explained:
            fields = self._tree.fields(section)
            changed = {
                key: value
                for key, value in values.items()
                if key == "kind" or "default" not in fields[key] or value != fields[key]["default"]
            }
            yield f"{name}: {_flow(changed)}"
        else:
            yield f"{name}:"
            yield from _indent(self._section(section, values))

    def _section(self, section: Node, values: dict[str, Any]) -> Iterator[str]:
        self._explained.append(section)
        fields = self._tree.fields(section)
        tag = "kind" if "kind" in fields and _is_tag(fields["kind"]) else None
        if tag:
            yield from _comment(_first_paragraph(section))
            yield f"{tag}: {values[tag]}"
        for name, node in fields.items():
            if name != tag:
                yield from self._field(name, node, values[name])

    def _member(self, node: Node, values: dict[str, Any]) -> Node:
        kinds = self._tree.kinds(node)
        return kinds[values["kind"]] if kinds else self._tree.resolve(node)

    def _other_kinds(self, node: Node) -> Iterator[str]:
        """Explain, in comments, the members of a union that are not in use."""
        for kind, section in self._tree.kinds(node).items():
            if section not in self._explained:
                yield from _comment(f"Or kind: {kind}. {_first_paragraph(section)}")
                yield from self._in_comments(section)

    def _unused(self, node: Node) -> Iterator[str]:
        """Explain, in comments, a section that is left out, or every kind of it."""
        if self._tree.fields(node):
            yield from _comment(_first_paragraph(self._tree.resolve(node)))
            yield from self._in_comments(self._tree.resolve(node))
        yield from self._other_kinds(node)

    def _in_comments(self, section: Node, indent: str = "#   ") -> Iterator[str]:
        self._explained.append(section)
        for name, field in self._tree.fields(section).items():
            if name == "kind" and _is_tag(field):
                continue
            yield from _comment(
                f"{name}: {_explanation(field, self._tree.resolve(field))}", indent, indent + "  "
            )
            entry = self._tree.entry(field)
            if entry is None and self._tree.fields(field):
                entry = field
            if entry is not None:
                yield from self._in_comments(self._tree.resolve(entry), indent + "  ")


def _is_tag(kind: Node) -> bool:
    """Whether a field named kind tells the members of a union apart; others of that name are explained."""
    return "description" not in kind


def _explanation(node: Node, resolved: Node) -> str:
    """Description of a field as a sentence, and the words the field may hold."""
    text = _first_paragraph(node)
    words = [str(word) for word in resolved.get("enum", [])]
    if text.split(" ")[0].rstrip(":") not in words:
        text = text[:1].upper() + text[1:]
    text = text if text.endswith(".") else f"{text}."
    return text if all(word in text for word in words) else f"{text} One of: {', '.join(words)}."


def _first_paragraph(node: Node) -> str:
    return " ".join(node.get("description", "").split("\n\n")[0].split())


def _comment(text: str, first: str = "# ", further: str = "# ") -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += textwrap.wrap(
            " ".join(paragraph.split()), _WIDTH, initial_indent=first, subsequent_indent=further,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines


def _indent(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _flow(value: Any) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip()
