"""hearlab data compare: known differences in made files, and the real scene beside our rendering of it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearlab.audio import write_wav
from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.report.compare.scenes import compare_scenes, comparison_text
from hearlab.scenes import render_scene

RATE = 44100
SAMPLES = np.random.RandomState(0).randint(-9000, 9000, (2000, 2)).astype(np.int16)


def scene(folder: Path, name: str, samples: np.ndarray = SAMPLES, kind: str = "mix_CH1", rate: int = RATE) -> None:
    write_wav(folder / f"{name}_{kind}.wav", samples, rate)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "packaged", tmp_path / "rendered"


def test_differences_are_counted(folders: tuple[Path, Path]) -> None:
    packaged, rendered = folders
    changed = SAMPLES.copy()
    changed[10, 0] += 3
    changed[11, 1] -= 1
    for name in ("S00001", "S00002"):
        scene(packaged, name)
    scene(rendered, "S00001")
    scene(rendered, "S00002", changed)
    scene(packaged, "S00003")
    (kind,) = compare_scenes(packaged, rendered).kinds
    assert (kind.files, kind.equal, kind.samples, kind.differing) == (2, 1, 8000, 2)
    assert (kind.largest, kind.worst) == (3, "S00002")
    signal = 2 * np.sum(SAMPLES.astype(float) ** 2)
    assert kind.level == pytest.approx(10 * math.log10((9 + 1) / signal), abs=1e-9)
    text = comparison_text(compare_scenes(packaged, rendered))
    assert "3 LSB" in text
    assert "1 scenes are only packaged" in text


def test_other_lengths_rates_and_channels_are_named(folders: tuple[Path, Path]) -> None:
    packaged, rendered = folders
    for name in ("S00001", "S00002", "S00003", "S00004"):
        scene(packaged, name)
    scene(rendered, "S00001", SAMPLES[:-1])
    scene(rendered, "S00002", rate=48000)
    scene(rendered, "S00003", SAMPLES[:, :1])
    scene(rendered, "S00004", kind="hr")
    found = compare_scenes(packaged, rendered)
    assert found.kinds == []
    assert found.forms == [
        "S00001_mix_CH1.wav: packaged 2000 samples of 2 channels at 44100 Hz, "
        "rendered 1999 samples of 2 channels at 44100 Hz",
        "S00002_mix_CH1.wav: packaged 2000 samples of 2 channels at 44100 Hz, "
        "rendered 2000 samples of 2 channels at 48000 Hz",
        "S00003_mix_CH1.wav: packaged 2000 samples of 2 channels at 44100 Hz, "
        "rendered 2000 samples of 1 channels at 44100 Hz",
        "S00004_hr.wav: not packaged",
        "S00004_mix_CH1.wav: not rendered",
    ]


def test_scenes_are_taken_evenly_and_on_several_processes(
    folders: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    packaged, rendered = folders
    for number in range(20):
        scene(packaged, f"S{number:05d}")
        scene(rendered, f"S{number:05d}", SAMPLES + np.int16(number == 10))
    found = compare_scenes(packaged, rendered, count=10, workers=2)
    assert found.scenes == tuple(f"S{number:05d}" for number in range(0, 20, 2))
    assert found.kinds[0].equal == 9
    assert found.kinds[0].worst == "S00010"
    assert "data compare: 10/10" in capfd.readouterr().err
    assert compare_scenes(packaged, rendered, count=10) == found


def test_what_cannot_be_compared(folders: tuple[Path, Path]) -> None:
    packaged, rendered = folders
    with pytest.raises(InputError, match="packaged: no such folder"):
        compare_scenes(packaged, rendered)
    scene(packaged, "S00001")
    rendered.mkdir()
    with pytest.raises(InputError, match="rendered: holds no scenes"):
        compare_scenes(packaged, rendered)
    scene(rendered, "S00002")
    with pytest.raises(InputError, match="holds no scene that the package holds too"):
        compare_scenes(packaged, rendered)
    (rendered / "S00001_mix_CH1.wav").hardlink_to(packaged / "S00001_mix_CH1.wav")
    with pytest.raises(InputError, match="holds the package's scenes, not rendered ones"):
        compare_scenes(packaged, rendered)
    (rendered / "S00001_mix_CH1.wav").unlink()
    (rendered / "S00001_mix_CH1.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"S00001_mix_CH1\.wav: cannot be read"):
        compare_scenes(packaged, rendered)
    assert main(["data", "compare", "--packaged", str(packaged), "--rendered", str(rendered), "--scenes", "0"]) == 1


@pytest.mark.slow
@pytest.mark.reference
def test_the_real_scene(folders: tuple[Path, Path], golden: Path, real_data: Path) -> None:
    """What the published code rendered beside our own rendering: at least 99.9 % of samples equal, one step at most."""
    packaged, rendered = folders
    packaged.mkdir()
    for path in (golden / "render").glob("*.flac"):
        samples, rate = soundfile.read(path, dtype="int16")
        write_wav(packaged / f"{path.stem}.wav", samples, rate)
    shutil.copy(golden / "render" / "S06001_hr.wav", packaged)
    (description,) = read_json(real_data / "metadata" / "scenes.dev.json")
    room = read_json(real_data / "metadata" / "rooms.dev.json")[0]
    render_scene(description, room, real_data, rendered)
    found = compare_scenes(packaged, rendered)
    assert found.forms == []
    assert len(found.kinds) == 14
    for kind in found.kinds:
        assert kind.differing <= 0.001 * kind.samples, kind
        assert kind.largest <= 1, kind
        assert kind.level < -80 or not kind.differing, kind
