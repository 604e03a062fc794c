"""The soak's workspace: HearLab's own pipeline on two scenes and one song, with an enhancement system of its own.

The inputs are files of the user's (the data set `clarity`, with the demo world in it), so that they can be changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from ruamel.yaml import YAML

from hearlab.datasets.demo import make_demo, make_demo_music

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = (
    *("src", "params.yaml", "dvc.yaml", ".gitignore", ".dvcignore", ".dvc", "data/weights", "datasets", "listeners"),
)
SPLIT = "dev"
# Left out: training scenes, tracking; what they do to units the other stages do, too.
STAGES = (
    *("check_params", "system", "prepare", "build_scenes", "render_scenes", "learning_scenes", "train_enhancer"),
    *("enhance_speech", "score_speech"),
    *("prepare_music", "train_separator", "separate_music", "fit_music", "enhance_music", "score_music"),
)
# Stages of units, for an action to choose from: speech more often.
UNIT_STAGES = (
    *(f"render_scenes {SPLIT}", "enhance_speech", "score_speech", "enhance_speech", "score_speech"),
    *("train_separator", "enhance_music", "score_music"),
)
HOME = ("data/clarity/clarity_data", "data/clarity/cadenza_data")
INPUTS = ("data/clarity/inputs/clarity_data", "data/clarity/inputs/cadenza_data")  # what the stages link to it
LAB = "lab"  # the folder of the system's own package
SCENES, LISTENERS, SONG_SECONDS = 2, 2, 2.0
TRAINING = {"hidden_size": 4, "batch_size": 1, "steps": 2, "validate_every": 1, "excerpt": 1}
TRACEBACK = "Traceback (most recent call last)"
BRANCHES = ("main", "louder", "other-code")

# The number in each file is what the soak changes. Each is used in another way that Python has.
LAB_FILES = {
    "my_lab/__init__.py": "from my_lab.aid import Aid\nimport my_lab.patch\n",
    "my_lab/aid.py": """\
import importlib
import json
from pathlib import Path

import lab_tools
import my_lab.dsp
import my_lab.dsp as processing
import numpy as np
from hearlab.fitting import NalR
from my_lab.constants import GAIN
from my_lab.registry import STEPS, TABLE
from my_lab.shelf import *

HERE = Path(__file__).parent


class Aid:
    weight = 0.991

    def __init__(self, *, gain_db=0.0):
        late = importlib.import_module("my_lab.late")
        factors = [GAIN, my_lab.dsp.factor(), processing.LIMIT, SHELF, self.weight, self.trim, TABLE["mid"]]
        factors += [late.FACTOR, lab_tools.factor(), json.loads((HERE / "levels.json").read_text())["level"]]
        factors += [float((HERE / "tables" / "taps.txt").read_text()), *(step() for step in STEPS)]
        self.factor = float(np.prod(factors)) * 10 ** (gain_db / 20)

    def speech(self, microphones, rate, listener):
        nalr, pair = NalR(taps=220, rate=rate), microphones["CH1"]
        ears = [nalr.apply(nalr.filter(ear), pair[:, k]) for k, ear in enumerate((listener.left, listener.right))]
        return np.tanh(self.factor * np.stack(ears, axis=1))

    def music(self, stems, rate, listener):
        return {name: self.factor * stem for name, stem in stems.items()}
""",
    "my_lab/constants.py": "GAIN = 0.992\n",
    "my_lab/dsp.py": "LIMIT = 0.993\n\n\ndef factor():\n    return LIMIT / 0.994\n",
    "my_lab/shelf.py": "SHELF = 0.995\n",
    "my_lab/patch.py": "from my_lab.aid import Aid\n\nAid.trim = 0.996\n",
    "my_lab/registry.py": """\
STEPS, TABLE = [], {}
TABLE["mid"] = 0.997


def step(function):
    STEPS.append(function)
    return function


@step
def soften():
    return 0.998
""",
    "my_lab/late.py": "FACTOR = 0.989\n",
    "my_lab/levels.json": '{"level": 0.988}\n',
    "my_lab/tables/taps.txt": "0.987\n",
    "lab_tools.py": "def factor():\n    return 0.986\n",
}


class Fault(Exception):
    """What the soak looks for."""


def environment(folder: Path) -> dict[str, str]:
    """For commands in a workspace: this test's Python first, the workspace's own code."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder / LAB}",
        # As users have it: a module that is changed twice within a second and keeps its length must not run as it was.
        "PYTHONDONTWRITEBYTECODE": "",
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
        "HEARLAB_WORKERS": "1",  # on a busy machine, units would seem long enough for Ray
        "COLUMNS": "200",
    }


def command(folder: Path, *words: str, **more: str) -> tuple[int, str]:
    """Exit code and output of a command in the workspace; `more` are environment variables."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**environment(folder), **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def said(folder: Path, *words: str, **more: str) -> str:
    """Run a command, which may fail, and give its exit code; HearLab's own never shows a traceback."""
    code, output = command(folder, *words, **more)
    with (folder.parent / "output.txt").open("a") as file:
        file.write(f"$ {' '.join(words)}\n{output}")
    if words[0] == "hearlab" and TRACEBACK in output:
        raise Fault(f"{' '.join(words)} shows a traceback:\n{output}")
    return f"{' '.join(words)}: {code}"


def must(folder: Path, *words: str) -> str:
    """The output of a command that has to succeed."""
    code, output = command(folder, *words)
    assert code == 0, f"{' '.join(words)} exited with {code}:\n{output}"
    return output


def read_yaml(path: Path) -> Any:
    return YAML().load(path.read_text(encoding="utf-8"))


def write_yaml(path: Path, content: Any) -> None:
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(content, file)


def make_workspace(folder: Path) -> Path:
    """A repository with the inputs, run once, and its branches; beside it a remote in the folder `remote`."""
    folder.mkdir(parents=True)
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            passed = shutil.ignore_patterns("*.egg-info", "cache", "tmp", "config.local")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=passed)
        else:
            shutil.copy2(REPOSITORY / name, folder / name)
    for name, text in LAB_FILES.items():
        (folder / LAB / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / LAB / name).write_text(text)
    _make_parameters(folder / "params.yaml")
    _make_pipeline(folder / "dvc.yaml")
    _make_inputs(*(folder / name for name in HOME))
    must(folder, sys.executable, "-m", "compileall", "-q", "src")
    must(folder, "git", "init", "--quiet", "--initial-branch=main")
    must(folder, "dvc", "remote", "add", "--default", "lab", str(folder.parent / "remote"))
    must(folder, "dvc", "repro")
    must(folder, "git", "add", "--all")
    must(folder, "git", "commit", "--quiet", "--message", "First run")
    _make_branches(folder)
    return folder


def _make_parameters(path: Path) -> None:
    params = read_yaml(path)
    clarity, demo = params["datasets"]["clarity"], params["datasets"]["demo"]
    params["dataset"] = "clarity"
    for name in ("seed_offset", "heads", "pre_samples_range", "post_samples_range", "additional"):
        clarity[name] = demo[name]
    for split in ("train", "dev", "demo"):
        count = SCENES if split == SPLIT else 0
        clarity["splits"][split].update(scenes=count, rooms=count)
    params["render"]["source"] = "rendered"
    params["separate"]["weights"] = "trained"
    params["separate"]["train"].update(TRAINING)
    params["evaluate"]["small_test"] = True
    params["enhance"]["system"] = "my_lab:Aid"
    params["enhance"]["params"] = {"gain_db": 0}
    write_yaml(path, params)


def _make_pipeline(path: Path) -> None:
    pipeline = read_yaml(path)
    stages = {name: stage for name, stage in pipeline["stages"].items() if name in STAGES}
    for name in ("build_scenes", "render_scenes"):
        stages[name]["foreach"] = {SPLIT: stages[name]["foreach"][SPLIT]}
    write_yaml(path, {"stages": stages})


def _make_inputs(clarity: Path, cadenza: Path) -> None:
    """The data of the user: the demo world and one short song each to train and to evaluate."""
    make_demo(clarity, 0, dev_scenes=SCENES, train_scenes=0)
    path = clarity / "metadata" / f"scenes_listeners.{SPLIT}.json"
    pairs = {scene: names[:LISTENERS] for scene, names in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(pairs, indent=1))
    make_demo_music(cadenza, 0, train=1, valid=1, test=0)
    for song in cadenza.rglob("*.wav"):
        samples, rate = soundfile.read(song, dtype="int16")
        half = len(samples) // 2  # where all instruments play
        soundfile.write(song, np.ascontiguousarray(samples[half : half + int(SONG_SECONDS * rate)]), rate)


def _make_branches(folder: Path) -> None:
    louder, code = BRANCHES[1:]
    must(folder, "git", "checkout", "--quiet", "-b", louder)
    set_parameter(folder, "enhance.params.gain_db", 4)
    must(folder, "git", "commit", "--quiet", "--all", "--message", "Louder, not run yet")
    must(folder, "git", "checkout", "--quiet", "-b", code, "main")
    change_number(folder / LAB / "my_lab" / "constants.py", 0.9)
    change_number(folder / LAB / "my_lab" / "levels.json", 0.91)
    must(folder, "git", "commit", "--quiet", "--all", "--message", "Other code, not run yet")
    must(folder, "git", "checkout", "--quiet", "main")


def set_parameter(folder: Path, name: str, value: Any) -> None:
    """Write a value into params.yaml by its dotted name."""
    params = read_yaml(folder / "params.yaml")
    *parents, last = name.split(".")
    section = params
    for parent in parents:
        section = section[parent]
    section[last] = value
    write_yaml(folder / "params.yaml", params)


def change_number(path: Path, value: float) -> None:
    """Replace the last number of a file of the own package."""
    head, dot, tail = path.read_text().rpartition("0.")
    assert dot, path
    path.write_text(f"{head}{value}{tail.lstrip('0123456789')}")


def replace(path: Path, content: bytes) -> None:
    """Put another file in the place of one; other links to that stay as they are."""
    beside = path.with_name(f"new-{path.name}")
    beside.write_bytes(content)
    os.replace(beside, path)
