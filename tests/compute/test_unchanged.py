"""What changes while a stage runs: nothing gets a wrong label, and what was finished before is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hearlab.audio import read_audio, write_wav
from hearlab.errors import InputError
from hearlab.params import load_params
from hearlab.report.leaderboard.add import check_keys

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[2]
AUDIOGRAM = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [20] * 6,
    "audiogram_levels_r": [30] * 6,
}
LISTENERS = ["L1", "L2", "L3"]
SYSTEM = """
from my_lab import dsp

class MyEnhancer:
    def __init__(self, scale=1.0):
        self.scale = scale

    def speech(self, microphones, rate, listener):
        {during}
        return self.scale * dsp.GAIN * microphones["CH1"]

    def music(self, stems, rate, listener):
        return stems
"""
# What happens outside while the second listener's unit runs, once.
DURING = """
        import pathlib, subprocess
        script = pathlib.Path("during.sh")
        if listener.id == "L2" and script.exists():
            script.rename("happened.sh")
            subprocess.run(["sh", "-e", "happened.sh"], check=True)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A data set of one short scene and three listeners, and a system in a package of one's own; a git repository."""
    folder = tmp_path / "workspace"
    data = folder / "data" / "demo"
    files = {
        "inputs/clarity_data/metadata/listeners.json": dict.fromkeys(LISTENERS, AUDIOGRAM),
        "inputs/clarity_data/metadata/scenes_listeners.dev.json": {"S1": LISTENERS},
        "scene_lists/scenes.dev.json": [{"scene": "S1", "SNR": 1.0, "room": "R1"}],
    }
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(json.dumps(content))
    noise = (3000 * np.random.RandomState(0).standard_normal((4000, 2))).astype(np.int16)
    for channel in range(4):
        write_wav(data / "rendered" / "dev" / f"S1_mix_CH{channel}.wav", noise, 44100)
    params = (REPOSITORY / "params.yaml").read_text()
    params = re.sub(r"system: .*", "system: my_lab:MyEnhancer", params)
    (folder / "params.yaml").write_text(params.replace("\n  params: {}", "\n  params: {scale: 1.0}"))
    (folder / "dvc.yaml").write_text((REPOSITORY / "dvc.yaml").read_text())
    lab = folder / "my_lab"
    lab.mkdir()
    (lab / "__init__.py").write_text("from my_lab.net import MyEnhancer\n")
    (lab / "net.py").write_text(SYSTEM.format(during=DURING.strip()))
    (lab / "dsp.py").write_text("GAIN = 1.0\n")
    (folder / ".gitignore").write_text("data\n.hearlab\n*.sh\n__pycache__\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    subprocess.run(("git", *identity, *arguments), cwd=folder, check=True, capture_output=True)


def surroundings(folder: Path) -> dict[str, str]:
    path = os.pathsep.join((str(REPOSITORY / "src"), str(folder)))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "300", "HEARLAB_WORKERS": "1"}


def stage(folder: Path, *arguments: str, code: int = 0, during: str | None = None) -> str:
    """Run a stage in a process of its own, as DVC does."""
    if during is not None:
        (folder / "during.sh").write_text(during)
    command = (sys.executable, "-m", "hearlab.cli", "stage", *(arguments or ("enhance_speech",)))
    done = subprocess.run(command, cwd=folder, env=surroundings(folder), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if during is not None:
        assert (folder / "happened.sh").exists()
    return done.stderr


def level(folder: Path, listener: str) -> float:
    samples, _ = read_audio(folder / f"data/demo/enhanced/S1_{listener}_HA-output.wav", rate=44100, channels=2)
    return float(np.sqrt(np.mean(samples**2)))


def done_before(text: str) -> int:
    found = re.findall(r"(\d+) done before", text)
    return int(found[-1]) if found else 0


def index(folder: Path) -> Path:
    return folder / "data" / "demo" / "units" / "enhance_speech.json"


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_another_gain_in_an_own_package_runs_every_unit_again(workspace: Path) -> None:
    stage(workspace)
    loud = level(workspace, "L1")
    assert done_before(stage(workspace)) == 3
    replace(workspace / "my_lab" / "dsp.py", "1.0", "0.05")
    assert done_before(stage(workspace)) == 0
    assert level(workspace, "L1") == pytest.approx(0.05 * loud, rel=0.01)
    replace(workspace / "my_lab" / "dsp.py", "0.05", "1.0")
    assert done_before(stage(workspace)) == 3
    assert level(workspace, "L1") == loud


def test_params_changed_while_the_stage_runs(workspace: Path) -> None:
    shown = stage(workspace, code=1, during="sed -i 's/scale: 1.0/scale: 0.5/' params.yaml")
    assert (
        "params.yaml: enhance.params.scale: changed while the stage ran (found 0.5, wanted 1.0); "
        "what was finished before is kept: run it again" in shown
    )
    assert not index(workspace).exists()
    # With the new parameters all runs, with the old ones nothing.
    assert done_before(stage(workspace)) == 0
    halved = level(workspace, "L1")
    replace(workspace / "params.yaml", "scale: 0.5", "scale: 1.0")
    assert done_before(stage(workspace)) == 3
    assert level(workspace, "L1") == pytest.approx(2 * halved, rel=0.01)


def test_what_python_leaves_beside_the_code_is_no_change(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package as a dependency in dvc.yaml, as the documentation advises; an editor writes there, too."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    replace(workspace / "dvc.yaml", "      - src/hearlab/systems\n", "      - src/hearlab/systems\n      - my_lab\n")
    assert not (workspace / "my_lab" / "__pycache__").exists()
    stage(workspace, during="touch my_lab/.net.py.swp; mkdir my_lab/.idea; touch my_lab/.idea/x")
    assert (workspace / "my_lab" / "__pycache__").exists()
    assert done_before(stage(workspace)) == 3


def test_source_changed_while_a_unit_runs(workspace: Path) -> None:
    """HearLab's own source, beside dvc.yaml."""
    (workspace / "src").mkdir()
    shutil.copytree(REPOSITORY / "src" / "hearlab", workspace / "src" / "hearlab")
    other = "sed -i 's/scaled [*]= full_scale/scaled *= 0.5 * full_scale/' src/hearlab/audio.py"
    shown = stage(workspace, code=1, during=other)
    assert "src/hearlab/audio.py: changed while the stage ran" in shown
    assert "0.5 * full_scale" in (workspace / "src/hearlab/audio.py").read_text()
    assert not index(workspace).exists()


def test_params_changed_and_changed_back(workspace: Path) -> None:
    stage(workspace, during="cp params.yaml p.sh; sed -i 's/scale: 1.0/scale: 0.5/' params.yaml; mv p.sh params.yaml")
    assert index(workspace).exists()
    assert done_before(stage(workspace)) == 3


@pytest.mark.parametrize("back", ["", "; cp -p data/old.wav data/demo/rendered/dev/S1_mix_CH1.wav"])
def test_an_input_replaced_while_a_unit_reads_it(workspace: Path, back: str) -> None:
    name = "data/demo/rendered/dev/S1_mix_CH1.wav"
    during = f"mv {name} data/old.wav; cp data/demo/rendered/dev/S1_mix_CH2.wav {name}{back}"
    noise = np.random.RandomState(1).standard_normal((4000, 2))
    write_wav(workspace / name, (300 * noise).astype(np.int16), 44100)
    shown = stage(workspace, code=1, during=during)
    assert f"  2 units (S1 L2, S1 L3): {name}: changed while the unit ran; what was finished before is kept" in shown
    assert not index(workspace).exists()
    if back:
        assert done_before(stage(workspace)) == 1
        return
    assert done_before(stage(workspace)) == 0
    replaced = level(workspace, "L1")
    os.replace(workspace / "data/old.wav", workspace / name)
    assert done_before(stage(workspace)) == 1
    assert level(workspace, "L1") < replaced / 5
    assert level(workspace, "L1") == level(workspace, "L2") == level(workspace, "L3")


@pytest.mark.parametrize(
    "during",
    [
        "echo > my_lab/new.py",
        "sed -i 's/1.0/0.05/' my_lab/dsp.py; sleep 0.1; sed -i 's/0.05/1.0/' my_lab/dsp.py",
        "git checkout --quiet other",
    ],
)
def test_an_own_package_changed_while_units_run(workspace: Path, during: str) -> None:
    git(workspace, "checkout", "--quiet", "-b", "other")
    replace(workspace / "my_lab" / "dsp.py", "1.0", "0.05")
    replace(workspace / "params.yaml", "scale: 1.0", "scale: 2.0")
    git(workspace, "commit", "--quiet", "--all", "--message", "other")
    git(workspace, "checkout", "--quiet", "main")
    shown = stage(workspace, code=1, during=during)
    (line,) = (line for line in shown.splitlines() if line.startswith("hearlab: "))
    assert re.search(r"my_lab/(dsp|new)\.py: changed while the stage ran; what was finished before is kept", line)
    assert not index(workspace).exists()
    git(workspace, "checkout", "--quiet", "--force", "main")
    (workspace / "my_lab" / "new.py").unlink(missing_ok=True)
    # The first listener's unit ended before the change; what ended since the last look at the code is not kept.
    assert done_before(stage(workspace)) in (0, 1)
    right = [level(workspace, name) for name in LISTENERS]
    git(workspace, "checkout", "--quiet", "other")
    assert done_before(stage(workspace)) == 0
    assert level(workspace, "L1") == pytest.approx(0.1 * right[0], rel=0.01)
    assert right[0] == right[1] == right[2]


def test_a_list_that_dvc_yaml_names_changed_while_the_stage_runs(workspace: Path) -> None:
    lists = "data/demo/inputs/clarity_data/metadata/listeners.json"
    shown = stage(workspace, code=1, during=f"sed -i 's/30/40/' {lists}")
    assert f"{lists}: changed while the stage ran" in shown
    assert not index(workspace).exists()


def test_a_stage_without_units(workspace: Path) -> None:
    replace(workspace / "my_lab" / "net.py", "self.scale = scale", "open('params.yaml', 'a').write('\\nmore: 1\\n')")
    assert "params.yaml: more: changed while the stage ran" in stage(workspace, "check_params", code=1)


def test_code_that_the_keys_do_not_cover(workspace: Path) -> None:
    (workspace / "late.py").write_text("GAIN = 1.0\n")
    load = "import importlib\n        importlib.import_module('la' + 'te')"
    net = workspace / "my_lab" / "net.py"
    before = net.read_text()
    told = r"my_lab:MyEnhancer: loads a module that the keys of its units do not cover \(found late in .*/late\.py\)"
    net.write_text(before.replace("self.scale = scale", f"self.scale = scale\n        {load}"))
    assert re.search(told + r"; import it plainly in your package \(import late\)", stage(workspace, code=1))
    net.write_text(before.replace("return self.scale", f"{load}\n        return self.scale"))
    shown = stage(workspace, code=1)
    assert "3 of 3 units failed\n  3 units (S1 L1, S1 L2, S1 L3): " in shown
    assert len(re.findall(told, shown)) == 1
    net.write_text("import late\n" + net.read_text())
    stage(workspace)


BY_PATH = {
    "without sys.modules": """
spec = importlib.util.spec_from_file_location("other", str(path))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
GAIN = module.GAIN
""",
    "runpy": "GAIN = runpy.run_path(str(path))['GAIN']\n",
    "exec": "exec(compile(path.read_text(), str(path), 'exec'))\n",
}


@pytest.mark.parametrize("way", BY_PATH)
def test_code_that_is_run_by_its_path(workspace: Path, way: str) -> None:
    (workspace / "outside.py").write_text("GAIN = 1.0\n")
    head = "import importlib.util, pathlib, runpy\npath = pathlib.Path(__file__).parents[1] / ('out' + 'side.py')\n"
    (workspace / "my_lab" / "dsp.py").write_text(head + BY_PATH[way])
    shown = stage(workspace, code=1)
    assert re.search(r"keys of its units do not cover \(found .*/outside\.py\)", shown)
    assert "(import outside)" in shown


def test_a_unit_that_fails_after_loading_other_code(workspace: Path) -> None:
    """Later units find the module in place: it is not theirs, and not covered all the same."""
    (workspace / "late.py").write_text("GAIN = 1.0\n")
    net = workspace / "my_lab" / "net.py"
    load = "import importlib\n        first = not vars(self).get('seen')\n        self.seen = True"
    load += "\n        importlib.import_module('la' + 'te')"
    fail = "if first:\n            raise RuntimeError('busy')"
    net.write_text(net.read_text().replace("return self.scale", f"{load}\n        {fail}\n        return self.scale"))
    shown = stage(workspace, code=1)
    assert "3 of 3 units failed" in shown
    assert len(re.findall(r"\n  S1 L1: RuntimeError: busy", shown)) == 1
    assert len(re.findall(r"\n  2 units \(S1 L2, S1 L3\): .* keys of its units do not cover", shown)) == 1
    line = 1 + next(n for n, text in enumerate(net.read_text().splitlines()) if "raise RuntimeError" in text)
    assert f"S1 L1: RuntimeError: busy (my_lab/net.py: line {line}, in speech)\n" in shown
    advised = shown.splitlines()[-1]
    assert advised == "  hearlab --debug stage enhance_speech shows the tracebacks"
    command = [sys.executable, "-m", "hearlab.cli", *advised.split()[1:-3]]
    again = subprocess.run(command, cwd=workspace, env=surroundings(workspace), capture_output=True, text=True)
    assert again.stderr.count("Traceback (most recent call last)") == 3
    assert "shows the traceback" not in again.stderr


def test_a_folder_that_is_added_to_the_path_while_it_loads(workspace: Path) -> None:
    (workspace / "libs").mkdir()
    (workspace / "libs" / "helper.py").write_text("GAIN = 1.0\n")
    (workspace / "my_lab" / "dsp.py").write_text(
        "import os, sys\nsys.path.insert(0, os.path.abspath('libs'))\nfrom helper import GAIN\n"
    )
    shown = stage(workspace, code=1)
    assert "libs/helper.py: is found only after the system was loaded" in shown
    assert "put its folder on PYTHONPATH" in shown


def test_a_system_that_writes_into_its_package(workspace: Path) -> None:
    """It fails each time, and the line says why."""
    net = workspace / "my_lab" / "net.py"
    write = "open('my_lab/run.log', 'a').write('x')"
    net.write_text(net.read_text().replace("return self.scale", f"{write}\n        return self.scale"))
    for _ in range(2):
        shown = stage(workspace, code=1)
        assert "my_lab/run.log: changed while the stage ran; if the system writes it, let it write outside" in shown


def test_source_changed_while_hearlab_was_imported(workspace: Path) -> None:
    """What was imported is the old code: nothing gets the new code's key."""
    shutil.copytree(REPOSITORY / "src" / "hearlab", workspace / "src" / "hearlab")
    program = """
import pathlib, sys
import hearlab.stages.enhance_speech
source = pathlib.Path(hearlab.stages.enhance_speech.__file__)
assert "np.abs(output) > 1.0" in source.read_text()
source.write_text(source.read_text().replace("np.abs(output) > 1.0", "np.abs(output) > 2.0"))
from hearlab.cli import main
sys.exit(main(["stage", "enhance_speech"]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(workspace / "src"), str(workspace)))}
    done = subprocess.run(
        (sys.executable, "-c", program), cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "src/hearlab/stages/enhance_speech.py: changed while the stage started" in done.stderr


def test_a_result_that_dvc_lock_labels_with_later_parameters(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when params.yaml is edited between the end of a stage and DVC's reading of it."""
    stage(workspace)
    monkeypatch.chdir(workspace)
    monkeypatch.syspath_prepend(workspace)
    lock = {"enhance_speech": {"outs": []}}
    check_keys(workspace, load_params(), lock, "enhance_speech")
    replace(workspace / "params.yaml", "scale: 1.0", "scale: 0.5")
    with pytest.raises(InputError, match="enhance_speech: 3 units are of other parameters, data or code"):
        check_keys(workspace, load_params(), lock, "enhance_speech")


def test_a_source_changed_twice_in_one_second(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To as many bytes: Python would run what it compiled of the first one."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    dsp = workspace / "my_lab" / "dsp.py"
    stage(workspace)
    loud, second = level(workspace, "L1"), int(dsp.stat().st_mtime)
    assert list((workspace / "my_lab" / "__pycache__").glob("dsp.*"))
    for gain, part in (("0.5", 0.2), ("1.0", 0.4)):
        dsp.write_text(f"GAIN = {gain}\n")
        os.utime(dsp, (second + 60, second + 60 + part))
        for compiled in (workspace / "my_lab" / "__pycache__").glob("dsp.*"):
            os.utime(compiled, (second, second))
        stage(workspace)
        assert level(workspace, "L1") == pytest.approx(float(gain) * loud, rel=0.01)
    shutil.copytree(REPOSITORY / "src" / "hearlab", workspace / "src" / "hearlab")
    stage(workspace)
    audio = workspace / "src/hearlab/audio.py"
    (compiled,) = (audio.parent / "__pycache__").glob("audio.*")
    second = int(audio.stat().st_mtime)
    replace(audio, "scaled *= full_scale", "scaled /= full_scale")
    os.utime(audio, (second, second))
    os.utime(compiled, (second, second))
    assert "audio.py: changed while the stage started, or in the second" in stage(workspace, code=1)
    assert done_before(stage(workspace)) == 0
