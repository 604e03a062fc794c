"""What MkDocs does beyond its own for `make docs`: see mkdocs.yml.

Pages of the repository's root join the site, links to files that are no pages become plain text, notebooks are run, and
the references of the command line and of params.yaml are written from the parsers and from the schema.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

import command_line  # noqa: E402
import links  # noqa: E402
import notebooks  # noqa: E402
import params_table  # noqa: E402

from hearlab.errors import InputError  # noqa: E402

WRITTEN = {"<!-- commands -->": command_line.page, "<!-- parameters -->": params_table.page}
NOTEBOOKS = "notebooks/"


def on_pre_build(config: MkDocsConfig) -> None:
    """Refuse to run notebooks on other results than the demo's, before MkDocs removes the pages of before."""
    if any((ROOT / "docs" / NOTEBOOKS).glob("*.md")):
        try:
            notebooks.check(ROOT)
        except (notebooks.Failed, InputError) as error:
            raise PluginError(f"docs/{NOTEBOOKS}: {error}") from None


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/, and the pages and sounds of the notebooks, which are run here."""
    for source, page in links.PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=links.relinked(text, source, page)))
    for file in [one for one in files if one.src_uri.startswith(NOTEBOOKS) and one.src_uri.endswith(".md")]:
        try:
            made = notebooks.run(ROOT / "docs" / file.src_uri, ROOT)
        except notebooks.Failed as error:
            raise PluginError(f"docs/{file.src_uri}: {error}") from None
        files.remove(file)
        text = links.relinked(made.markdown, f"docs/{file.src_uri}", file.src_uri)
        files.append(File.generated(config, file.src_uri, content=text))
        for name, content in made.files.items():
            files.append(File.generated(config, f"{NOTEBOOKS}{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **unused: Any) -> str:
    """Mend the links of a page of docs/, and write what is generated."""
    if page.file.generated_by is None:
        markdown = links.relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
    for mark, write in WRITTEN.items():
        if mark in markdown:
            markdown = markdown.replace(mark, write())
    return markdown
