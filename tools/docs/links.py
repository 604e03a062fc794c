"""Links of the repository's pages, as they are in the site."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Pages of the site that are not in docs/.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/my_lab/README.md": "my-lab.md",
}
FOLDERS = {"examples/my_lab": "my-lab.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^ *(```|~~~)")


def relinked(text: str, source: str, page: str) -> str:
    """The text of the file `source` (from the root of the repository) as the page `page` (from docs/).

    Links to other pages lead to these, and links to files that are no pages become plain text. Code stays as it is.
    """
    lines, code = [], False
    for line in text.split("\n"):
        if FENCE.match(line):
            code = not code
        lines.append(line if code else LINK.sub(lambda found: _link(found, source, page), line))
    return "\n".join(lines)


def _link(found: re.Match[str], source: str, page: str) -> str:
    picture, text, address, place = found[1], found[2], found[3], found[4] or ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
    there = PAGES.get(target) or FOLDERS.get(target)
    if there is None and target.startswith("docs/") and (ROOT / target).is_file():
        there = target.removeprefix("docs/")
    if there is None:
        # What is nowhere stays a link, and MkDocs names it.
        return text if (ROOT / target).exists() else found[0]
    return f"{picture}[{text}]({os.path.relpath(there, posixpath.dirname(page) or '.')}{place})"
