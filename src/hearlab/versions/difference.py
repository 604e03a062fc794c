"""What a stranger's revision would run that the user's own does not: to be read before it is run."""

from __future__ import annotations

from pathlib import Path

from hearlab.errors import InputError
from hearlab.text import printable
from hearlab.versions.git import git_bounded

# Read whole: what is run, with which packages. Of all other files, names and counts of lines.
READ = ("dvc.yaml", "pyproject.toml", "constraints*.txt", "requirements*.txt", "setup.py", "setup.cfg")
MOST_LINES = 1000


def difference(root: Path, commit: str) -> str:
    """HEAD against the commit, in the workspace and below: all files with their counts of changed lines,
    new ones named, and READ in full.

    Raises:
        InputError: git cannot compare them.
    """
    # No program of the user's configuration that .gitattributes could name; no attribute hides a text as binary.
    plain = (
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--text",
        "--ignore-submodules=none",
    )
    range_, here = ("HEAD", commit, "--"), "."
    anywhere = [f":(glob)**/{name}" for name in READ]
    parts = (
        ("requirements and stages", (*plain, *range_, *anywhere)),
        ("new files", (*plain, "--name-only", "--diff-filter=A", *range_, here)),
        ("all files", (*plain, "--stat=120", *range_, here)),
    )
    lines = []
    for title, arguments in parts:
        content = git_bounded(root, *arguments)
        if content is None:
            raise InputError(commit[:12], "cannot be compared with HEAD", advice="git fsck")
        text = content.decode("utf-8", errors="replace").splitlines()
        lines += [f"{title}: {commit[:7]} against HEAD", *(text[:MOST_LINES] or ["no difference"])]
        if len(text) > MOST_LINES:
            lines.append(f"{len(text) - MOST_LINES} more lines: git {' '.join(arguments)}")
        lines.append("")
    return "\n".join(printable(line.expandtabs()) for line in lines)
