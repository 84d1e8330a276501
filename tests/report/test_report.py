"""The report as a file: complete, self-contained, repeatable, and honest about what is missing."""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jrflow.archive import read_manifest
from jrflow.archive.manifest import Failures, SteadyState
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.commented import commented_yaml
from jrflow.report.content import Missing, Table, Text
from jrflow.report.inputs import RunResults
from jrflow.report.report import build_report
from jrflow.report.section_model import evoked_section
from jrflow.report.section_run import run_section

N_FIGURES = 18
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags with their attributes, and the text below each kind of element of interest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {
            "figcaption": [],
            "caption": [],
            "missing": [],
            "row": [],
            "summary": [],
        }
        self.stack: list[tuple[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag in VOID:
            return
        kind = {"figcaption": "figcaption", "tr": "row"}.get(tag)
        kind = kind or {"caption": "caption", "missing": "missing"}.get(values.get("class") or "")
        kind = kind or ("summary" if values.get("id") == "summary" else None)
        self.stack.append((tag, kind))
        if kind:
            self.texts[kind].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.stack.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, kind in self.stack:
            if kind:
                self.texts[kind][-1] += data


@pytest.fixture(scope="module")
def page(full_run: Path) -> Page:
    return Page(full_run / "report.html")


def images(page: Page) -> list[dict[str, str | None]]:
    return [attrs for tag, attrs in page.tags if tag == "img"]


def row(page: Page, start: str) -> str:
    found = [" ".join(text.split("\n")) for text in page.texts["row"] if text.startswith(start)]
    assert found, f"no row starts with {start!r}"
    return found[0]


def test_refers_to_nothing_outside_itself(page: Page) -> None:
    targets = [
        v
        for _, attrs in page.tags
        for k, v in attrs.items()
        if k in ("src", "href", "srcset", "data", "action")
    ]
    assert targets
    assert [t for t in targets if t is not None and not t.startswith(("#", "data:"))] == []
    assert not {"script", "iframe", "object"} & {tag for tag, _ in page.tags}


def test_style_and_figures_load_nothing(full_run: Path) -> None:
    style = re.search(r"<style>(.*?)</style>", (full_run / "report.html").read_text(), re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    for figure in (full_run / "figures").glob("*.svg"):
        links = re.findall(r'href="([^"]*)"', figure.read_text())
        assert [link[:40] for link in links if not link.startswith(("#", "data:"))] == [], figure.name


def test_every_figure_is_embedded_and_on_its_own(page: Page, full_run: Path) -> None:
    files = {path.read_text(encoding="utf-8") for path in (full_run / "figures").glob("*.svg")}
    embedded = {base64.b64decode(str(i["src"]).split(",")[1]).decode() for i in images(page)}
    assert embedded == files
    assert len(images(page)) == len(files) == N_FIGURES


def test_every_figure_has_a_number_a_caption_and_a_text_for_screen_readers(page: Page) -> None:
    captions = page.texts["figcaption"]
    assert [re.match(r"Figure (\d+)\.", text.strip())[1] for text in captions] == [
        str(i + 1) for i in range(N_FIGURES)
    ]  # type: ignore[index]
    assert min(len(text) for text in captions) > 100
    assert min(len(i["alt"] or "") for i in images(page)) > 100
    assert not [text for text in captions + page.texts["caption"] if "{" in text or "nan" in text]


def test_tables_are_numbered_and_captioned(page: Page) -> None:
    numbers = [int(re.match(r"Table (\d+)\.", text.strip())[1]) for text in page.texts["caption"]]  # type: ignore[index]
    assert numbers == list(range(1, len(numbers) + 1))


def test_contents_point_to_sections(page: Page) -> None:
    anchors = {str(attrs["href"])[1:] for tag, attrs in page.tags if tag == "a"}
    sections = {attrs["id"] for tag, attrs in page.tags if tag == "section"}
    assert anchors == sections
    assert "summary" in sections


def test_nothing_is_missing_but_what_is(page: Page) -> None:
    assert [text for text in page.texts["missing"] if "Left out" in text or "No " in text] == []


def test_numbers_are_those_of_the_results(page: Page) -> None:
    assert row(page, "train").split("prior")[1].startswith("1281280")  # simulations 128, ok 128, not finite 0
    # limit, R2 of network, trees and mean, share of the limit
    assert row(page, "Ai0.99").startswith("Ai0.990.900.450.0091")
    assert row(page, "campaign/train") == "campaign/train7.5"
    assert "Bi-LSTMthis run, as-published128quiet–0.92––0.00– – – 0.00" in row(
        page, "Bi-LSTMthis run, as-published"
    )


def test_what_settled_is_told(page: Page, full_run: Path) -> None:
    manifest = read_manifest(full_run / "archives" / "train.zarr")
    assert manifest is not None
    steady = manifest.steady_state
    assert steady is not None
    assert steady.settled == 0, "two trials are the fewest there are to compare"
    assert row(page, "train").startswith("trainunit-consistentprior128128000\N{NO-BREAK SPACE}%2 of 2")
    assert not [text for text in page.texts["caption"] if "failed, and the integration step" in text]


@pytest.fixture
def run_with_failures(full_run: Path) -> RunResults:
    run = RunResults.open(full_run)
    found = Failures(1200, 25, 1040.5, 61_000)
    failures = {"non_finite": found, "out_of_declared_range": replace(found, simulations=7)}
    steady = SteadyState(1, 0.123, 1.5)
    manifest = replace(run.manifests["test"], failures=failures, steady_state=steady)
    old = replace(manifest, failures={}, steady_state=None)
    run.__dict__["manifests"] = {"test": manifest, "train": old}
    return run


def test_failures_are_told_with_their_steps(run_with_failures: RunResults) -> None:
    tables = [block for block in run_section(run_with_failures).blocks if isinstance(block, Table)]
    campaigns, failures = tables[:2]
    assert failures.rows == [
        ["test", "not finite", "1,200", "25 (0.025)", "1,040 (1.04)", "61,000 (61)"],
        ["test", "out of range", "7", "25 (0.025)", "1,040 (1.04)", "61,000 (61)"],
    ]
    settled = [row[-2:] for row in campaigns.rows]
    assert settled == [["12\N{NO-BREAK SPACE}%", "1.5 of 2"], ["–", "–"]], "an old manifest does not say"


def test_a_network_is_named_and_not_projected(tmp_path: Path) -> None:
    simulation = {
        "connectome": {"kind": "synthetic", "n_regions": 4},
        "protocol": {"kind": "evoked", "n_trials": 2},
    }
    config = Config.model_validate(
        {
            "run": {"name": "brain", "results": str(tmp_path)},
            "simulation": simulation,
            "priors": {"p": {"kind": "independent", "parameters": {"G": {"low": 0, "high": 1}}}},
            "campaigns": {"train": {"design": "prior", "n": 4, "prior": "p"}},
        }
    )
    run = RunResults(tmp_path, config)
    run_campaign(config, "train", tmp_path / "archives", progress=None)
    (tmp_path / "config.yaml").write_text(commented_yaml(config), encoding="utf-8")
    assert RunResults.open(tmp_path).config == config
    told = [block.html for block in run_section(run).blocks if isinstance(block, Text)]
    digest = run.manifests["train"].specification["connectome_digest"]
    assert f"Network: 4 regions, connectome of kind synthetic (sha256 <code>{digest[:12]}" in told[1]
    (block,) = evoked_section(run).blocks
    assert isinstance(block, Missing)
    assert "a network of regions is not projected to the scalp yet" in block.html


def test_presets_side_by_side(page: Page) -> None:
    """C and a_4 move the evoked response in one preset only: the paper's finding and its cause."""
    values = [float(v) for v in re.findall(r"([\d.e-]+)\s%", row(page, "a4"))]
    assert len(values) == 4
    assert min(values[:2]) > 10
    assert max(values[2:]) < 0.01
    summary = page.texts["summary"][0]
    assert "as-published: C, a4 cannot be inferred by any method" in summary
    assert (
        "change the mean R² by 0.200; 4 times as many epochs over the same simulations change it by −0.050"
        in summary
    )


def test_densities_are_held_against_data_and_exact_posteriors(page: Page) -> None:
    captions = " ".join(page.texts["caption"])
    assert "Posterior-predictive check of npe" in captions
    assert "npe compared with reference posteriors" in captions
    rows = page.texts["row"]
    assert any("1.771.771.77" in line for line in rows), "what draws leave, by noise level"
    assert any("0.43" in line and "1.21" in line for line in rows), "distance and width, by target"


def test_recordings_are_judged_plainly(page: Page, full_run: Path) -> None:
    html = (full_run / "report.html").read_text(encoding="utf-8")
    assert (
        "3 measured responses: 1 explained by the model, 1 partly explained by the model, 1 not explained"
        in page.texts["summary"][0]
    )
    assert "nothing (−50 %: worse than a flat line)" in html
    assert "would have detected a second source of 0.12 uV" in html, "an explained response states its power"
    assert (
        "The network was not trained at the noise level of response 2: its estimates and intervals are not"
        in html
    )
    assert "<i>$_flash" not in html
    assert row(page, "2. <i>$_flash</i>").endswith("not explained")
    assert row(page, "Ai" + "mV1 (0.6–1.4)")
    assert row(page, "Ai" + "mV––1 (0.6–1.4)"), "an exact posterior where the model explains"
    assert "Response 3 (R-hat 1.30, effective sample size 41): the sampler does not resolve" in html


def test_what_is_absent_is_said(bare_run: Path) -> None:
    page = Page(bare_run / "report.html")
    assert images(page) == []
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert len(page.texts["missing"]) >= len(sections) - 1, (
        "all but the paper's own table say why they are empty"
    )
    assert all(text.strip().endswith((".", ").")) for text in page.texts["missing"])


@pytest.fixture(scope="module")
def lone_run(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run in which only the first preset has been simulated, and its report."""
    folder = tmp_path_factory.mktemp("results") / "miniature"
    for name in ("config.yaml", "eeg", "sensitivity/oat.nc", "archives/test.json", "archives/test.zarr"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (full_run / name).is_dir() else shutil.copy
        copy(full_run / name, folder / name)
    build_report(folder)
    return folder


def test_one_preset_alone_is_no_comparison(lone_run: Path) -> None:
    page = Page(lone_run / "report.html")
    assert any("presets cannot be compared" in text for text in page.texts["missing"])
    assert len(images(page)) == 4


def test_built_again_it_is_the_same(lone_run: Path) -> None:
    written = [lone_run / "report.html", *sorted((lone_run / "figures").iterdir())]
    before = [path.read_bytes() for path in written]
    build_report(lone_run)
    assert [path.read_bytes() for path in written] == before
    assert not re.search(rb"<dc:date>|Date", before[1])


def test_folder_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.yaml not found: expected the folder of a run"):
        build_report(tmp_path)
