"""A workspace with a finished result, as the pipeline leaves it, without running the pipeline."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ports import free_port
from waits import LONGEST

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
# Thresholds that are the same at all frequencies: the grade is known without computing.
LISTENERS = {"L1": 30, "L2": 60}  # mild, moderately severe
SCENES = {"S1": -9.0, "S2": 3.0}
ENHANCED = {("S1", "L1"): 0.2, ("S1", "L2"): 0.1, ("S2", "L1"): 0.8, ("S2", "L2"): 0.5}
UNPROCESSED = {("S1", "L1"): 0.1, ("S1", "L2"): 0.0, ("S2", "L1"): 0.6, ("S2", "L2"): 0.1}
STEMS = ("bass", "drums", "other", "vocals")
MUSIC = {("Song", "L1"): 0.4, ("Song", "L2"): 0.2}
ENHANCE = {"system": "hearlab.systems.baseline:Baseline", "gain": 0, "nalr": {"taps": 220}, "params": {}}


def params(gain: float = 0) -> dict[str, Any]:
    return {
        "dataset": "demo",
        "seed": 0,
        "enhance": {**copy.deepcopy(ENHANCE), "gain": gain},
        "evaluate": {"split": "dev", "song_listeners": "valid"},
        "datasets": {"demo": {"songs": {"valid": 1}}, "clarity": {"songs": None}},
    }


def make_result(root: Path, *, gain: float = 0, shift: float = 0.0, music: bool = True) -> Path:
    """Scores and dvc.lock of a run with that gain; `shift` is added to all enhanced scores."""
    metadata = root / "data/demo/inputs/clarity_data/metadata"
    songs = root / "data/demo/inputs/cadenza_data/task1/metadata/musdb18hq"
    listeners = {
        name: {
            "name": name,
            "audiogram_cfs": FREQUENCIES,
            "audiogram_levels_l": [level] * 8,
            "audiogram_levels_r": [level] * 8,
        }
        for name, level in LISTENERS.items()
    }
    _write(metadata / "listeners.json", json.dumps(listeners))
    _write(songs / "listeners.valid.json", json.dumps(listeners))
    scenes = [{"scene": name, "SNR": snr} for name, snr in SCENES.items()]
    _write(root / "data/demo/scene_lists/scenes.dev.json", json.dumps(scenes))
    yaml = YAML()
    with (root / "params.yaml").open("w") as file:
        yaml.dump(params(gain), file)
    enhanced = {pair: round(score + shift, 6) for pair, score in ENHANCED.items()}
    _table(root / "metrics/speech.csv", "scene,listener,haspi", enhanced)
    _table(root / "metrics/speech_unprocessed.csv", "scene,listener,haspi", UNPROCESSED)
    points = [
        f"{scene},{listener},{SCENES[scene]},{condition},{score}"
        for condition, scores in (("enhanced", enhanced), ("unprocessed", UNPROCESSED))
        for (scene, listener), score in scores.items()
    ]
    _write(root / "metrics/plots/haspi_snr.csv", "\n".join(["scene,listener,snr,condition,haspi", *points, ""]))
    _write(root / "metrics/speech.json", json.dumps({"haspi": {"pairs": len(enhanced)}}))
    _write(root / "data/demo/units/score_speech.json", json.dumps({"version": 1, "units": []}))
    if music:
        columns = [f"{side}_{stem}" for stem in STEMS for side in ("left", "right")]
        rows = {pair: ",".join([f"{score}"] * 9) for pair, score in MUSIC.items()}
        _table(root / "metrics/music.csv", f"song,listener,score,{','.join(columns)}", rows)
        _write(root / "metrics/music.json", json.dumps({"haaqi": {"pairs": len(MUSIC)}}))
        points = [f"{song},{who},{name},{score}" for (song, who), score in MUSIC.items() for name in columns]
        _write(root / "metrics/plots/haaqi_stems.csv", "\n".join(["song,listener,stem,haaqi", *points, ""]))
    write_lock(root, gain=gain, music=music)
    return root


def write_lock(root: Path, *, gain: float, music: bool) -> None:

    def enhance() -> dict[str, Any]:
        return {"params.yaml": {"enhance": params(gain)["enhance"]}}

    def prepare() -> dict[str, Any]:
        return {"params.yaml": {"dataset": "demo", "seed": 0}}

    stages: dict[str, Any] = {
        "prepare": {"params": prepare(), "outs": [_entry("data/demo/inputs/clarity_data", "11.dir")]},
        "enhance_speech": {
            "deps": [_entry("data/demo/inputs/clarity_data", "11.dir"), _entry("src/hearlab/fitting", "99.dir")],
            "params": enhance(),
            "outs": [_entry("data/demo/enhanced", f"{gain}.dir")],
        },
        "score_speech": {
            "deps": [
                _entry("data/demo/inputs/clarity_data/metadata", "12.dir"),
                _entry("data/demo/enhanced", f"{gain}.dir"),
            ],
            "params": {"params.yaml": {"evaluate.split": "dev"}},
            "outs": [
                _file(root, "metrics/speech.csv"),
                _file(root, "metrics/speech_unprocessed.csv"),
                _file(root, "metrics/plots/haspi_snr.csv"),
                _file(root, "metrics/speech.json"),
                _file(root, "data/demo/units/score_speech.json"),
            ],
        },
    }
    if music:
        stages |= {
            "prepare_music": {"params": prepare(), "outs": [_entry("data/demo/inputs/cadenza_data", "21.dir")]},
            "enhance_music": {
                "deps": [_entry("data/demo/inputs/cadenza_data", "21.dir"), _entry("data/weights", "31.dir")],
                "params": enhance(),
                "outs": [_entry("data/demo/enhanced_music", f"{gain}.dir")],
            },
            "score_music": {
                "deps": [_entry("data/demo/enhanced_music", f"{gain}.dir")],
                "params": {"params.yaml": {"evaluate.song_listeners": "valid"}},
                "outs": [
                    _file(root, "metrics/music.csv"),
                    _file(root, "metrics/plots/haaqi_stems.csv"),
                    _file(root, "metrics/music.json"),
                ],
            },
        }
    with (root / "dvc.lock").open("w") as file:
        YAML().dump({"schema": "2.0", "stages": stages}, file)


def _entry(path: str, md5: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": md5}


def _file(root: Path, path: str) -> dict[str, str]:
    return _entry(path, hashlib.md5((root / path).read_bytes()).hexdigest())


def _table(path: Path, header: str, rows: dict[tuple[str, str], Any]) -> None:
    _write(path, "\n".join([header, *(f"{one},{two},{rest}" for (one, two), rest in rows.items()), ""]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# --- processes ------------------------------------------------------------------------------------------------


def environment(uri: str | None) -> dict[str, str]:
    """That of a user, with the tracking server `uri`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_"))}
    source = {"PYTHONPATH": str(REPOSITORY / "src")}
    return {**plain, **source, **({"MLFLOW_TRACKING_URI": uri} if uri else {})}


def start(root: Path, *command: str, uri: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-m", "hearlab.cli", *command),
        cwd=root,
        env=environment(uri),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def hearlab(root: Path, *command: str, uri: str | None = None, code: int = 0) -> str:
    process = start(root, *command, uri=uri)
    output, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == code, output
    return output


class TrackingServer:
    """A real `mlflow server` on the loopback, which can be stopped and started again."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.backend = folder, backend
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        store = ("--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artefacts"))
        network = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        # Without the seven processes for the evaluation of language models that would start beside it.
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "mlflow", "server", *store, *network),
                cwd=self.folder,
                env={**environment(None), **quiet},
                stdout=log,
                stderr=log,
            )
        wait_for(f"{self.uri}/health", self.process, self.folder / "server.log")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=LONGEST)
            self.process = None


def wait_for(address: str, process: subprocess.Popen[Any], log: Path) -> None:
    end = time.monotonic() + LONGEST
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.3)
