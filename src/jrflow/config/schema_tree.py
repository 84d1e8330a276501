"""Navigation in a JSON schema: allowed values and description of each key."""

from __future__ import annotations

from typing import Any

Node = dict[str, Any]


class SchemaTree:
    """A JSON schema made by pydantic, its references followed.

    Parameters
    ----------
    schema
        As ``Model.model_json_schema()`` returns it.
    """

    def __init__(self, schema: Node) -> None:
        self._definitions: Node = schema.get("$defs", {})
        self.root = schema

    def resolve(self, node: Node) -> Node:
        """Follow references and look through 'or null' to the node that says what is allowed."""
        if "$ref" in node:
            return self.resolve(self._definitions[node["$ref"].rpartition("/")[2]])
        for option in node.get("anyOf", ()):
            if option.get("type") != "null":
                return self.resolve(option)
        return node

    def kinds(self, node: Node) -> dict[str, Node]:
        """Members of a discriminated union by their tag; empty for anything else."""
        mapping = self.resolve(node).get("discriminator", {}).get("mapping", {})
        return {tag: self.resolve({"$ref": reference}) for tag, reference in mapping.items()}

    def fields(self, node: Node) -> dict[str, Node]:
        """Named fields of a section; empty for anything else."""
        return self.resolve(node).get("properties", {})

    def entry(self, node: Node) -> Node | None:
        """What every entry of a mapping with free names holds; None for anything else."""
        node = self.resolve(node)
        patterns = list(node.get("patternProperties", {}).values())
        return patterns[0] if patterns else node.get("additionalProperties") or None

    def child(self, node: Node, step: str | int) -> Node:
        """Node below ``node`` at a key, a position or the tag of a union; empty where none is known."""
        node = self.resolve(node)
        for kind, member in self.kinds(node).items():
            if kind == step:
                return member
        if isinstance(step, str):
            return self.fields(node).get(step) or self.entry(node) or {}
        return node.get("items") or dict(enumerate(node.get("prefixItems", []))).get(step, {})
