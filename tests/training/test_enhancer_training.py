"""Training the hearing aid: it learns, is resumed to the same bytes, and workers share it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

from scene_files import LISTENERS, write_scenes  # noqa: E402

from hearlab.enhancement.network import EnhancerShape  # noqa: E402
from hearlab.errors import InputError, ParameterError  # noqa: E402
from hearlab.training import loop  # noqa: E402
from hearlab.training.launch import in_processes  # noqa: E402
from hearlab.training.materials import SceneFiles  # noqa: E402
from hearlab.training.settings import Stretch, TrainingSettings  # noqa: E402
from hearlab.training.workers import Workers  # noqa: E402

SHAPE = EnhancerShape(bands=8, hidden_size=8, layers=1)
SCENES, HELD_OUT = 5, 2


def settings(*stretches: Stretch, **changes: Any) -> TrainingSettings:
    chosen = stretches or (Stretch("spectral", 4, 3, 1e-2),)
    return TrainingSettings(SHAPE, chosen, **{"excerpt": 0.9, "validate_every": 2, **changes})


def train(folder: Path, chosen: TrainingSettings, **options: Any) -> loop.TrainedEnhancer:
    files = SceneFiles(write_scenes(folder, SCENES) if not folder.exists() else known(folder))
    numbers = range(SCENES)
    return loop.train_enhancer(files, numbers[:-HELD_OUT], numbers[-HELD_OUT:], LISTENERS, chosen, **options)


def known(folder: Path) -> list[tuple[Path, str]]:
    return [(folder, name) for name in sorted({path.name[:6] for path in folder.glob("S*.wav")})]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, SCENES)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["spectral", "haspi", "hasqi", "haspi+hasqi"])
def test_each_loss_trains(scenes: Path, loss: str) -> None:
    found = train(scenes, settings(Stretch(loss, 2, 2, 1e-2)))
    history = found.description["history"]
    assert [entry["step"] for entry in history] == [2]
    assert math.isfinite(history[0]["train_loss"])
    assert 0 <= history[0]["haspi"] <= 1


@pytest.mark.slow
def test_a_short_excerpt_holds_speech(tmp_path: Path) -> None:
    """Silence in front of the target is longer than an excerpt."""
    write_scenes(tmp_path, SCENES)
    for path in tmp_path.glob("*.wav"):
        samples, rate = soundfile.read(path, always_2d=True)
        silence = np.zeros((rate, 2))
        soundfile.write(path, np.concatenate([silence + 1e-3 * ("interferer" in path.name), samples]), rate)
    found = train(tmp_path, settings(Stretch("haspi", 12, 1, 1e-3), excerpt=0.5, validate_every=12))
    assert found.description["history"][0]["train_loss"] < 1


@pytest.mark.slow
def test_it_learns_where_speech_is(scenes: Path) -> None:
    """In 60 steps the loss on these few scenes falls far below that of the first steps."""
    found = train(scenes, settings(Stretch("spectral", 60, 4, 3e-2), validate_every=20, stop_patience=9))
    losses = [entry["train_loss"] for entry in found.description["history"]]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_resumed_to_the_same_bytes(scenes: Path) -> None:
    chosen = settings(Stretch("spectral", 3, 3, 1e-2), Stretch("haspi", 2, 2, 1e-3))
    kept: list[bytes] = []
    whole = train(scenes, chosen, key="a key", checkpoint=kept.append)
    assert len(kept) == 3
    for content in kept[:-1]:
        steps: list[int] = []
        again = train(scenes, chosen, key="a key", resume=content, progress=lambda state: steps.append(state.step))  # noqa: B023
        assert steps[-1] == 5
        assert len(steps) < 3
        assert again == whole
    assert train(scenes, chosen, key="a key") == whole
    assert train(scenes, settings(*chosen.stretches, seed=1)).weights != whole.weights


@pytest.mark.slow
@pytest.mark.parametrize("change", ["key", "settings", "damage"])
def test_a_checkpoint_of_another_training_is_discarded(
    scenes: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[bytes] = []
    train(scenes, settings(), key="a key", checkpoint=kept.append)
    content = kept[0][:-3] + b"xyz" if change == "damage" else kept[0]
    other = settings(excerpt=0.8) if change == "settings" else settings()
    steps: list[int] = []
    train(
        scenes,
        other,
        key="another" if change == "key" else "a key",
        resume=content,
        progress=lambda state: steps.append(state.step),
    )
    assert steps == [2, 4]
    assert caplog.text.count("is discarded; training begins anew") == 1


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_last_checkpoint(
    scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    own, count = loop.spectral_loss, 0

    def broken(*arguments: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        return own(*arguments) * (math.nan if count == 4 else 1)

    monkeypatch.setattr(loop, "spectral_loss", broken)
    with pytest.raises(
        InputError, match=r"training: step 3: the loss is not finite \(found nan \(S0000\d L\d at"
    ) as told:
        train(scenes, settings(), checkpoint=kept.append)
    assert "\n" not in str(told.value)
    assert len(kept) == 1


def test_bad_input(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="device: no CUDA device here"):
        train(scenes, settings(), device="cuda")
    files = SceneFiles(known(scenes))
    with pytest.raises(InputError, match="training: there are no training scenes"):
        loop.train_enhancer(files, [], [0], LISTENERS, settings())
    with pytest.raises(InputError, match="training: there are no listeners"):
        loop.train_enhancer(files, [0], [1], [], settings())
    silent = tmp_path / "silent"
    write_scenes(silent, SCENES)
    (silent / "S00002_target_anechoic_CH1.wav").unlink()
    with pytest.raises(InputError, match=r"S00002_target_anechoic_CH1\.wav"):
        train(silent, settings(Stretch("spectral", 9, 3, 1e-2)))


def test_items_depend_on_seed_step_and_number_alone(scenes: Path) -> None:
    from hearlab.training.crops import draw_item

    files = SceneFiles(known(scenes))
    beams = np.ones((385, 6, 6), dtype=complex)
    files.prepare(beams, 8)
    again = SceneFiles(known(scenes))
    again.prepare(beams, 8)
    again.scene(3)
    one, other = (draw_item(source, [0, 1, 2], LISTENERS, settings(), 7, 3) for source in (files, again))
    assert one.name == other.name
    np.testing.assert_array_equal(one.features, other.features)
    names = {draw_item(files, [0, 1, 2], LISTENERS, settings(), 7, number).name for number in range(9)}
    assert len(names) > 5


WORKERS = 1e-3  # relative: sums of gradients in another order, after a few steps of Adam


def in_a_worker(*, scenes: str, out: str, workers: Workers, tell: Any) -> None:
    """What each of the processes of the test below runs."""
    found = train(Path(scenes), settings(Stretch("spectral", 4, 4, 1e-3)), workers=workers)
    Path(out, f"{workers.number}.json").write_text(json.dumps(found.description["history"]))
    Path(out, f"{workers.number}.pth").write_bytes(found.weights)
    tell(workers.number)


@pytest.mark.slow
def test_two_workers_learn_what_one_does(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    told: list[int] = []
    arguments = {"scenes": str(scenes), "out": str(tmp_path)}
    in_processes("test_enhancer_training:in_a_worker", 2, "cpu", arguments, told.append)
    assert sorted(told) == [0, 1]
    alone = train(scenes, settings(Stretch("spectral", 4, 4, 1e-3)))
    assert (tmp_path / "0.pth").read_bytes() == (tmp_path / "1.pth").read_bytes()
    for entry, wanted in zip(json.loads((tmp_path / "0.json").read_text()), alone.description["history"], strict=True):
        assert entry["train_loss"] == pytest.approx(wanted["train_loss"], rel=WORKERS)
        assert entry["haspi"] == pytest.approx(wanted["haspi"], abs=WORKERS)


def fails_in_a_worker(*, workers: Workers, tell: Any) -> None:
    if workers.number == 1:
        raise InputError("a file", "is wrong", found=3, wanted=4, advice="mend it")
    torch.distributed.barrier()


@pytest.mark.slow
def test_an_error_of_one_worker_ends_all_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    with pytest.raises(InputError, match=r"^a file: is wrong \(found 3, wanted 4\); mend it$"):
        in_processes("test_enhancer_training:fails_in_a_worker", 2, "cpu", {})


LAUNCH = "from hearlab.training.launch import in_processes"


def waits_in_a_worker(*, pipe: str, workers: Workers, tell: Any) -> None:
    """Waits for ever, and hears no interruption, as under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(pipe, "wb", buffering=0) as opened:
        opened.write(b"x")
        threading.Event().wait()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_is_left_when_the_training_is_stopped(tmp_path: Path, how: signal.Signals) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    call = f"in_processes('test_enhancer_training:waits_in_a_worker', 2, 'cpu', {{'pipe': {str(pipe)!r}}})"
    paths = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    program = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{LAUNCH}\n{call}"
    started = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths})
    with pipe.open("rb", buffering=0) as opened:
        for _ in range(2):
            assert opened.read(1) == b"x"
        started.send_signal(how)
        assert opened.read() == b""  # both have ended: nobody has the pipe open
    assert started.wait() != 0
