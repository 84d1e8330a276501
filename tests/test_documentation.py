"""The code in the documentation does run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from jrflow.campaign import run_campaign
from jrflow.config import Config

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def results(tiny_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the demo's protocol and prior, a few simulations where the demo leaves thousands."""
    folder = tmp_path_factory.mktemp("documentation") / "results"
    run_campaign(tiny_config(simulation={}), "train", folder / "demo/archives", progress=None)
    return folder


@pytest.mark.slow  # a lead field takes seconds
@pytest.mark.parametrize(
    "page", ["how-to/query-an-archive.md", "how-to/simulation-ids.md", "reference/archive.md"]
)
def test_pages_about_archives(
    page: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results").symlink_to(results)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    with mpl.rc_context({"backend": "agg"}):
        exec("\n".join(blocks), {})
        plt.close("all")


def test_every_benchmark_is_named_in_its_readme() -> None:
    folder = Path(__file__).parents[1] / "benchmarks"
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert not [path.name for path in sorted(folder.glob("*.py")) if path.name not in text]
