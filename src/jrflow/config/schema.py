"""Files generated from the configuration models, and whether they are up to date.

``python -m jrflow.config.schema`` shows how the files differ from the models, ``--fix`` rewrites them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from jrflow.config.cluster import ClusterConfig
from jrflow.config.commented import commented_yaml
from jrflow.config.config import Config
from jrflow.config.default import default_config
from jrflow.config.profile import cluster_yaml, snakemake_profile


def config_schema() -> str:
    """JSON schema of a configuration, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[str, str]:
    """Content of every generated file by its path from the top of the project."""
    cluster = ClusterConfig()
    return {
        "workflow/schemas/config.schema.json": config_schema(),
        "config.yaml": commented_yaml(default_config()),
        "profiles/slurm/config.yaml": snakemake_profile(
            cluster, "profiles/slurm", "profiles/slurm/cluster.yaml"
        ),
        "profiles/slurm/cluster.yaml": cluster_yaml(cluster),
    }


def drift(root: Path) -> str:
    """Difference between the files below ``root`` and what the models say; empty where there is none."""
    return "".join(
        "".join(unified_diff(_lines(root / name), content.splitlines(keepends=True), name, "the models"))
        for name, content in generated().items()
    )


def fix(root: Path) -> None:
    """Write the generated files below ``root``."""
    for name, content in generated().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Show differences, or remove them; exit code 1 if differences remain."""
    parser = argparse.ArgumentParser(prog="python -m jrflow.config.schema", description=main.__doc__)
    parser.add_argument("--fix", action="store_true", help="rewrite the files")
    parser.add_argument("--root", type=Path, default=Path(), help="top of the project (default: here)")
    arguments = parser.parse_args(argv)
    if arguments.fix:
        fix(arguments.root)
    difference = drift(arguments.root)
    sys.stdout.write(difference)
    return int(bool(difference))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
