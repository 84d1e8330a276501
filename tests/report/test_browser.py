"""The report as a browser shows it: headless Chromium lays it out and says what it saw."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip

#: Notes every request that the page's own policy blocks, and at the end what was laid out.
AUDIT = """
<script>
const blocked = [];
document.addEventListener("securitypolicyviolation", e => blocked.push(e.blockedURI));
window.addEventListener("load", () => {
  const size = e => [e.naturalWidth ?? 1, e.clientWidth, e.clientHeight];
  const seen = {
    blocked, fetched: performance.getEntriesByType("resource").map(e => e.name.slice(0, 60)),
    images: [...document.querySelectorAll("figure img")].map(size),
    captions: [...document.querySelectorAll("figcaption")].map(e => e.clientHeight),
    tables: [...document.querySelectorAll(".table .scroll")].map(e => [e.scrollWidth, e.clientWidth]),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    sections: [...document.querySelectorAll("section")].map(e => e.clientHeight),
  };
  document.body.insertAdjacentHTML("beforeend", `<pre id=${"audit"}>${JSON.stringify(seen)}</pre>`);
});
</script>
"""


def look(html: str, folder: Path, width: int = 1200) -> dict[str, Any]:
    """Open a page with the audit in it and return what the audit found."""
    html = html.replace("style-src 'unsafe-inline'", "style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    page = folder / "page.html"
    page.write_text(html.replace("<title>", AUDIT + "<title>"), encoding="utf-8")
    command = [
        str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1000",
        "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="audit">(.*?)</pre>', dom, re.S)
    assert found, "the page did not finish loading"
    seen: dict[str, Any] = json.loads(found[1].replace("&amp;", "&"))
    return seen


@pytest.mark.parametrize("width", [1200, 800])
def test_report_is_whole(full_run: Path, tmp_path: Path, width: int) -> None:
    html = (full_run / "report.html").read_text(encoding="utf-8")
    seen = look(html, tmp_path, width)
    assert seen["blocked"] == []
    assert [name for name in seen["fetched"] if not name.startswith("data:")] == []
    assert len(seen["images"]) == html.count("<figure")
    assert all(natural > 0 and shown > 0.4 * width and high > 80 for natural, shown, high in seen["images"])
    assert min(seen["captions"]) > 15
    assert min(seen["sections"]) > 50
    assert seen["overflow"] <= 0


def test_the_audit_sees_a_request(bare_run: Path, tmp_path: Path) -> None:
    html = (bare_run / "report.html").read_text(encoding="utf-8")
    seen = look(html.replace("</header>", '<img src="http://example.invalid/x.png"></header>'), tmp_path)
    assert seen["blocked"] == ["http://example.invalid/x.png"]


def test_tables_fit_a_laptop(full_run: Path, tmp_path: Path) -> None:
    html = (full_run / "report.html").read_text(encoding="utf-8")
    seen = look(html.replace("<details>", "<details open>"), tmp_path, 1280)
    assert seen["tables"]
    assert [cut for cut in seen["tables"] if cut[0] > cut[1]] == []


def test_a_phone_shows_letters_that_can_be_read(full_run: Path, tmp_path: Path) -> None:
    """Wide tables and figures scroll inside their box; the page itself does not."""
    html = (full_run / "report.html").read_text(encoding="utf-8")
    seen = look(html, tmp_path, 500)  # the narrowest window that every Chromium opens
    assert seen["overflow"] <= 0
    assert any(content > box for content, box in seen["tables"])
    assert min(shown * 8 / 518 for _, shown, _ in seen["images"]) >= 9
