"""The page about scale says what jrflow's own arithmetic says."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_script_makes_of_it() -> None:
    """If not: python benchmarks/scale.py --write, and read whether the text still holds."""
    script = runpy.run_path(str(ROOT / "benchmarks/scale.py"), run_name="scale")
    page = script["PAGE"].read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in page for name in script["TABLES"])
    assert script["filled"](page) == page
