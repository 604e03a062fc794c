"""The enhanced signals of the experiment that is compared with, as far as DVC's cache has them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from hearlab.datasets.layout import enhanced_file
from hearlab.files import atomic_path, parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.report.site.results import Results
from hearlab.report.site.versions import Part, Version
from hearlab.versions.revisions import RevisionFiles

FOLDER = "against"
SHORT = 12  # digits of a commit that name its folder


def sweep(results: Results, out: Path) -> None:
    """Delete the copies of other experiments than the one that is compared with now."""
    files = results.against.files if results.against else None
    kept = files.commit[:SHORT] if isinstance(files, RevisionFiles) else None
    for folder in (out / FOLDER).glob("*"):
        if folder.name != kept:
            shutil.rmtree(folder)


def other_versions(results: Results, scene: str, listeners: Sequence[str], out: Path) -> list[Version]:
    """The scene as the other experiment enhanced it, copied into the site.

    Nothing for bare tables of scores, and for what only a remote has: that could be a long download.
    """
    source = results.against
    if source is None or not isinstance(source.files, RevisionFiles):
        return []
    dataset = flat(parse_yaml(source.files.read(PARAMS_FILE))).get("dataset")
    if dataset != results.params.dataset:
        return []
    versions = []
    for listener in listeners:
        path = enhanced_file(results.files.enhanced, scene, listener)
        copy = out / FOLDER / source.files.commit[:SHORT] / path.name
        if not copy.exists():
            content = source.files.cached(path.as_posix())
            if content is None:
                continue
            with atomic_path(copy) as temporary:
                temporary.write_bytes(content)
        about = f"the hearing aid's output in {source.label}"
        versions.append(Version(f"{source.name}, {listener}", about, "other", (Part(copy.absolute()),), listener))
    return versions
