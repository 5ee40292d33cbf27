"""The documents as a site: built strictly, complete, and asking no other host for anything."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from tests.docs.pages import PAGES, ROOT

CONFIG = str(ROOT / "mkdocs.yml")
ELSEWHERE = re.compile(r"^(?:[a-z]+:)?//")
IN_STYLES = re.compile(r"""(?:url\(|@import\s)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Fetched(HTMLParser):
    """Collects what a browser fetches for a page: scripts, styles, fonts, pictures, frames; links do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = "href" if tag == "link" else "src"
        if tag != "a":
            self.urls.extend(value for key, value in attrs if key == name and value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(load_config(CONFIG, site_dir=str(folder)))
    return folder


def fetched(page: Path) -> Iterator[str]:
    parser = Fetched()
    parser.feed(page.read_text())
    yield from parser.urls


def test_it_builds_strictly_with_every_page_in_it(site: Path) -> None:
    built = {page.stem for page in site.glob("*.html")} - {"404"}

    assert built == {page.stem.lower() for page in PAGES if page.name != "README.md"}


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    asked = {(page.name, url) for page in pages for url in fetched(page) if ELSEWHERE.match(url)}
    styled = {(css.name, url) for css in site.rglob("*.css") for url in IN_STYLES.findall(css.read_text())}

    assert any(url.endswith(".js") for url in fetched(pages[0]))
    assert asked == set()
    assert styled == set()


def test_everything_that_a_page_fetches_is_there(site: Path) -> None:
    missing = [
        (page.name, url)
        for page in site.glob("*.html")
        if page.name != "404.html"
        for url in fetched(page)
        if not url.startswith("data:") and not (page.parent / url.partition("?")[0]).exists()
    ]

    assert missing == []


def test_anchors_that_the_readme_names_are_there(site: Path) -> None:
    named = re.findall(r"\]\(docs/([a-z-]+)\.md#([^)]+)\)", (ROOT / "README.md").read_text())

    assert named
    assert [(p, a) for p, a in named if f'id="{a}"' not in (site / f"{p}.html").read_text()] == []


@pytest.mark.parametrize("broken", ["[gone](gone.md)", "[gone](index.md#gone)", "![gone](images/gone.png)"])
def test_a_link_or_an_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path, broken: str) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    (pages / "index.md").write_text(f"# Home\n\n{broken}\n")
    config = load_config(
        CONFIG, docs_dir=str(pages), site_dir=str(tmp_path / "site"), nav=[{"Home": "index.md"}], hooks=[]
    )

    with pytest.raises(Abort):
        build(config)


def test_a_page_that_no_menu_names_fails_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    for name in ("index.md", "forgotten.md"):
        (pages / name).write_text("# A page\n")
    config = load_config(
        CONFIG, docs_dir=str(pages), site_dir=str(tmp_path / "site"), nav=[{"Home": "index.md"}], hooks=[]
    )

    with pytest.raises(Abort):
        build(config)
