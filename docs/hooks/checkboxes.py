"""Shows the boxes of a checklist as boxes: Markdown as mkdocs reads it has none."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put a box in the place of each `[ ]` that begins a list's item."""
    return markdown.replace("- [ ] ", "- ☐ ")
