"""What the site of the documentation is written from: links, the command line, params.yaml, the pages in its menu."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools/docs"))

import command_line  # noqa: E402
import links  # noqa: E402
import params_table  # noqa: E402


@pytest.mark.parametrize(
    ("text", "source", "page", "expected"),
    [
        ("[a](docs/site.md#blind)", "README.md", "index.md", "[a](site.md#blind)"),
        ("![p](docs/images/house.svg)", "README.md", "index.md", "![p](images/house.svg)"),
        ("[b](notes/ray.md)", "docs/cluster.md", "cluster.md", "[b](notes/ray.md)"),
        ("[c](../site.md)", "docs/notes/ray.md", "notes/ray.md", "[c](../site.md)"),
        ("[d](../CHANGELOG.md)", "docs/site.md", "site.md", "[d](changes.md)"),
        ("[e](../../examples/my_lab)", "docs/notebooks/a.md", "notebooks/a.md", "[e](../my-lab.md)"),
        ("[f](../Dockerfile), [g](#here)", "docs/cluster.md", "cluster.md", "f, [g](#here)"),
        ("[h](gone.md)", "docs/cluster.md", "cluster.md", "[h](gone.md)"),  # which MkDocs then names
    ],
)
def test_links_lead_to_pages_of_the_site(text: str, source: str, page: str, expected: str) -> None:
    assert links.relinked(text, source, page) == expected
    code = f"```md\n{text}\n```"
    assert links.relinked(code, source, page) == code


def test_every_command_and_option_is_in_the_reference() -> None:
    page = command_line.page()
    assert "## hearlab data\n" in page
    assert "### hearlab data fetch\n" in page
    assert "| `--against B` | compare with a revision" in page


def test_every_parameter_is_in_the_reference_with_its_range() -> None:
    page = params_table.page()
    assert "| `gain` | `0` | number, ≥ -100, ≤ 100 | dB, after the prescription and before the compressor |" in page
    content = YAML(typ="safe").load(REPOSITORY / "params.yaml")

    def keys(section: dict[str, object], above: str = "") -> list[str]:
        found = []
        for key, value in section.items():
            name = f"{above}{key}"
            found += keys(value, f"{name}.") if isinstance(value, dict) and value else [name]
        return found

    for top, value in content.items():
        for key in keys(value) if isinstance(value, dict) else [top]:
            assert f"| `{key}` |" in page, f"{top}: {key}"
    for line in page.splitlines():
        # A type for each value: the schema was followed to it.
        if line.startswith("| `"):
            assert re.split(r"(?<!\\)\|", line)[3].strip(), line


def test_every_page_is_in_the_menu() -> None:
    menu = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"([\w./-]+\.md)(?: #.*)?$", menu, re.MULTILINE)
    pages = {str(path.relative_to(REPOSITORY / "docs")) for path in (REPOSITORY / "docs").rglob("*.md")}
    assert set(listed) == pages | set(links.PAGES.values())
    assert len(listed) == len(set(listed))
