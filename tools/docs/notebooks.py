"""The notebooks of docs/notebooks, run on the demo's results, as pages with their outputs and sounds."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import soundfile
from nbconvert import MarkdownExporter
from traitlets.config import Config

from hearlab.files import read_yaml

SECONDS = 300  # for a cell, on a busy machine
DEMO = "demo"
NEEDED = ("metrics/speech.csv", "metrics/music.csv", "data/demo/rendered/dev", "data/demo/enhanced")
SOUND = re.compile(r'<source src="data:audio/wav;base64,([^"]+)" type="audio/wav" */>')
PLAYER = re.compile(r"<audio [^>]*>")
TABLE = re.compile(r"<div>\n<style scoped>.*?</style>\n(.*?)</div>", re.DOTALL)
OWN_LOOK = ' border="1" class="dataframe"'


class Failed(Exception):
    """One line for the user."""


@dataclass
class Made:
    """A page, and the files beside it by their names."""

    markdown: str
    files: dict[str, bytes] = field(default_factory=dict)


def check(root: Path) -> None:
    """The results in the folder `root` are the demo's, on which notebooks run.

    Raises:
        Failed: they are others, or some are not there.
    """
    dataset = read_yaml(root / "params.yaml").get("dataset")
    if dataset != DEMO:
        ways = "dvc exp run -S dataset={}"
        back = f"; {ways.format(dataset)} goes back"
        raise Failed(f"run on the demo's results, and dataset is {dataset}: {ways.format(DEMO)}, then make docs{back}")
    for name in NEEDED:
        if not (root / name).exists():
            raise Failed(f"run on the demo's results, and there is no {name}: make demo, then make docs")


def run(path: Path, root: Path) -> Made:
    """Run the notebook at `path`, a Markdown file whose Python blocks are its cells, in the folder `root`.

    Raises:
        Failed: a cell failed.
    """
    return page(executed(path, root), path.stem)


def executed(path: Path, root: Path) -> Any:
    """The notebook with its outputs.

    Raises:
        Failed: a cell failed.
    """
    notebook = jupytext.read(path)
    # Through files of this user's: nobody else on the machine can read along.
    config = Config({"KernelManager": {"transport": "ipc"}})
    resources = {"metadata": {"path": str(root)}}
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", coalesce_streams=True, resources=resources, config=config
    )
    try:
        return client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise Failed(f"a cell failed: {error.ename}: {error.evalue}") from None


def page(notebook: Any, name: str) -> Made:
    """A run notebook as a page; its pictures and sounds are files whose names begin with `name`."""
    resources: dict[str, Any] = {"unique_key": name, "output_files_dir": ""}
    body, resources = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    made = Made("", {Path(key).name: content for key, content in resources.get("outputs", {}).items()})

    def sound(found: re.Match[str]) -> str:
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])))
        small = io.BytesIO()
        soundfile.write(small, samples, rate, format="FLAC", subtype="PCM_16")
        file = f"{name}-{sum(key.endswith('.flac') for key in made.files) + 1}.flac"
        made.files[file] = small.getvalue()
        return f'<source src="{file}" type="audio/flac">'

    body = SOUND.sub(sound, body)
    body = PLAYER.sub('<audio controls preload="metadata">', body)
    # Tables have the site's look, not that of pandas.
    made.markdown = TABLE.sub(lambda found: found[1].replace(OWN_LOOK, ""), body)
    return made
