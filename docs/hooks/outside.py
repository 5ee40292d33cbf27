"""Takes CHANGELOG.md and CONTRIBUTING.md, which live outside docs/, into the site as pages, with their links."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
TO_OUTSIDE = re.compile(rf"\]\(\.\./({'|'.join(map(re.escape, OUTSIDE))})")
INTO_DOCS = re.compile(r"\]\(docs/")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages from outside; their links into docs/ start from inside it there."""
    for name, page in OUTSIDE.items():
        content = INTO_DOCS.sub("](", (ROOT / name).read_text())
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead a page's links to those files to their pages."""
    return TO_OUTSIDE.sub(lambda found: f"]({OUTSIDE[found[1]]}", markdown)
