"""Rendering a scene: from its description, room responses and source recordings to hearing-aid microphone files."""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.audio import MOST_SAMPLES, read_audio, resample, rms, write_wav
from hearlab.datasets.layout import SAMPLE_RATE, SOURCE_SPLIT, ClarityData, scene_file
from hearlab.errors import InputError
from hearlab.kernels.retained_memory import keep_much_freed_memory
from hearlab.names import safe_name
from hearlab.ranges import SNRS
from hearlab.scenes.ambisonics import MAX_ORDER, channel_count, straight_ahead
from hearlab.scenes.binaural import Source, render_groups
from hearlab.scenes.head_rotation import head_rotation
from hearlab.scenes.hrirs import microphone_filters
from hearlab.scenes.interval_convolution import convolve_interval
from hearlab.scenes.pcm16 import converted, mixed
from hearlab.scenes.rooms import FARTHEST, LONGEST_VIEW
from hearlab.scenes.speech_snr import better_ear_ratio

log = logging.getLogger(__name__)

LONGEST_SCENE = 300 * SAMPLE_RATE  # the challenge's last 6 to 10 s
# Degrees: a direction in the room, and a turn around.
ANGLES = (-540.0, 540.0)
LAST_POSITION = 99  # of an interferer in its room; the challenge's have 3
SPEED_OF_SOUND = 344.0  # m/s, as the published renderer uses it for the delay of the anechoic reference


@dataclass(frozen=True)
class RenderOptions:
    """How to render; the defaults are the published behaviour.

    Attributes:
        ambisonic_order: order used, at most 6.
        reference_channel: microphone pair at which the SNR is set and the anechoic reference is made.
        channel_norms: divisor of each microphone pair's signals before they are written with 16 bits.
        equalise_loudness: bring the interferers to the same level before they are mixed.
        interferer_response: 'sequence': the k-th interferer uses the room's k-th response, whatever its `position`
            says (published); 'position': it uses the response of its position.
        resample_interferers: convert interferers of other rates to 44.1 kHz (published: they are used as they are).
        short_sources: what to do with a target or interferer file that ends before the scene needs it to:
            'pad' with silence (published) or 'error'.

    Examples:
        >>> RenderOptions(interferer_response="position").channel_norms
        (12.0, 3.0, 3.0, 3.0)
    """

    ambisonic_order: int = MAX_ORDER
    reference_channel: int = 1
    channel_norms: tuple[float, ...] = (12.0, 3.0, 3.0, 3.0)
    equalise_loudness: bool = False
    interferer_response: Literal["sequence", "position"] = "sequence"
    resample_interferers: bool = False
    short_sources: Literal["pad", "error"] = "pad"


def render_scene(
    scene: Mapping[str, Any],
    room: Mapping[str, Any],
    data_root: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    options: RenderOptions | None = None,
) -> list[Path]:
    """Render one scene and write its files.

    Args:
        scene: a scene as in scenes.*.json.
        room: its room as in rooms.*.json.
        data_root: the folder that holds hrir/, train/, dev/ and metadata/.
        out_dir: where `{S}_{target,interferer,mix}_CH{0..3}.wav`, `{S}_target_anechoic_CH1.wav` (16 bit, 44.1 kHz)
            and `{S}_hr.wav` (float, the head direction) are written.
        options: see `RenderOptions`.

    Returns:
        the files written.

    Raises:
        InputError: a field, file or sample of the scene is missing or wrong. Nothing is written then.

    Examples:
        >>> render_scene({"scene": "S06001"}, {"name": "R06001"}, "clarity_data", "rendered")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        hearlab.errors.InputError: ...
    """
    options = options or RenderOptions()
    keep_much_freed_memory()  # 14,000 new pages for each scene would take a fifth of the time
    checked = _checked(scene)
    name = checked.where
    signals = _render(
        checked, _Record(room, f"room {_Record(room, 'room').name('name')}"), ClarityData(Path(data_root)), options
    )
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    # All files of a scene are written to a temporary folder first, so that a full disk leaves no half of a scene.
    staging = Path(tempfile.mkdtemp(prefix=f".{name}.part-", dir=out_dir))
    try:
        for file, samples in signals.items():
            write_wav(staging / file, samples, SAMPLE_RATE)
        for file in signals:
            os.replace(staging / file, out_dir / file)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [out_dir / file for file in signals]


def scene_inputs(
    scene: Mapping[str, Any], data_root: str | os.PathLike[str], options: RenderOptions | None = None
) -> list[Path]:
    """The files that `render_scene` reads for a scene.

    Raises:
        InputError: a field of the scene is missing.
    """
    checked, data = _checked(scene), ClarityData(Path(data_root))
    files = [data.hrir_metadata, *(data.hrir(microphone) for microphone in _microphones(checked))]
    for recording in _recordings(checked, data, options or RenderOptions()):
        files += [recording.path, recording.response]
    return list(dict.fromkeys(files))


def scene_outputs(name: str, options: RenderOptions | None = None) -> list[str]:
    """Names of the files that `render_scene` writes for the scene `name`."""
    options = options or RenderOptions()
    channels = range(len(options.channel_norms))
    files = [_file(name, signal, channel) for channel in channels for signal in ("target", "interferer", "mix")]
    return [*files, _file(name, "target_anechoic", options.reference_channel), _file(name, "hr")]


class _Record:
    """A JSON record: `record["target.name"]` is a nested value, or an InputError that names `where` and the path."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def __getitem__(self, path: str) -> Any:
        value: Any = self.values
        for key in path.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise InputError(self.where, "field is missing", field=path)
            value = value[key]
        return value

    def number(self, path: str, least: float = -math.inf, most: float = math.inf) -> float:
        """A nested number."""
        try:
            number = math.nan if isinstance(self[path], bool) else float(self[path])
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(self.where, "is no number", field=path, found=repr(self[path])[:60])
        if not least <= number <= most:
            wanted = f"from {least:g} to {most:g}"
            raise InputError(self.where, "is out of range", field=path, found=number, wanted=wanted)
        return number

    def integer(self, path: str, least: float = -LONGEST_SCENE, most: float = LONGEST_SCENE) -> int:
        """A nested number (of samples), without what follows the decimal point."""
        return int(self.number(path, least, most))

    def name(self, path: str, *, folders: bool = False) -> str:
        """A nested name of a file, or a part of one."""
        return safe_name(self[path], self.where, path, folders=folders)

    def items(self, path: str) -> Sequence[Any]:
        """A nested list."""
        if not isinstance(self[path], list | tuple):
            raise InputError(self.where, "is not a list", field=path, found=type(self[path]).__name__)
        return self[path]

    def records(self, path: str, called: str) -> Sequence[_Record]:
        """A nested list of records; each is `called` so in errors."""
        entries = enumerate(self.items(path), start=1)
        return [_Record(entry, f"{self.where} {called} {place}") for place, entry in entries]

    def vector(self, path: str, most: float = FARTHEST) -> list[float]:
        """Three nested numbers (metres)."""
        parts = _Record(dict(zip("xyz", self.items(path), strict=False)), f"{self.where} {path}")
        return [parts.number(part, -most, most) for part in "xyz"]


def _checked(scene: Mapping[str, Any]) -> _Record:
    """The scene under its own name."""
    return _Record(scene, _Record(scene, "scene").name("scene"))


@dataclass(frozen=True)
class _Recording:
    """A source of a scene: `length` samples of the file `path` from `offset` on, which begin at sample `start` of the
    scene; the room response is in the file `response`."""

    path: Path
    response: Path
    offset: int
    start: int
    length: int


def _microphones(scene: _Record) -> list[str]:
    field = "listener.hrir_filename"
    return [safe_name(name, scene.where, field) for name in scene.items(field)]


def _recordings(scene: _Record, data: ClarityData, options: RenderOptions) -> list[_Recording]:
    """The target and the interferers."""
    split, room = scene.name("dataset"), scene.name("room")
    if split not in SOURCE_SPLIT:
        raise InputError(scene.where, "unknown split", field="dataset", found=split, wanted=" or ".join(SOURCE_SPLIT))
    duration = scene.integer("duration", 1)
    path, start = data.target(split, scene.name("target.name")), scene.integer("target.time_start")
    length = scene.integer("target.time_end") - start
    recordings = [_Recording(path, data.room_response(split, room, "t"), 0, start, length)]
    for index, interferer in enumerate(scene.records("interferers", "interferer"), start=1):
        # Music is named 48/948.low.mp3.
        path = data.interferer(split, interferer.name("type"), interferer.name("name", folders=True))
        number = interferer.integer("position", 1, LAST_POSITION)
        number = number if options.interferer_response == "position" else index
        response = data.room_response(split, room, f"i{number}")
        offset, start = interferer.integer("offset", 0, MOST_SAMPLES), interferer.integer("time_start", 0, duration)
        length = interferer.integer("time_end", start, duration) - start
        recordings.append(_Recording(path, response, offset, start, length))
    return recordings


def _render(scene: _Record, room: _Record, data: ClarityData, options: RenderOptions) -> dict[str, NDArray[Any]]:
    name, duration, snr = scene.where, scene.integer("duration", 1), scene.number("SNR", *SNRS)
    points = scene.records("listener.rotation", "rotation")
    turn = [{"sample": point.number("sample"), "angle": point.number("angle", *ANGLES)} for point in points]
    rotation = head_rotation(turn, room.vector("listener.view_vector", LONGEST_VIEW), duration, name)
    target, *interferers = _recordings(scene, data, options)
    sources = _target_sources(target, scene, room, options)
    interfering = _interferer_sources(interferers, name, duration, options)
    microphones = _microphones(scene)
    if len(microphones) != len(options.channel_norms):
        raise InputError(
            name,
            "number of microphone pairs and of channel norms differ",
            field="listener.hrir_filename",
            found=len(microphones),
            wanted=len(options.channel_norms),
        )
    order, reference = options.ambisonic_order, options.reference_channel
    decoders = [microphone_filters(data.hrir(pair), data.hrir_metadata, order) for pair in microphones]
    groups = [[sources[0]], interfering, [sources[1]]]
    pairs = [range(len(decoders)), range(len(decoders)), [reference]]
    targets, noises, (target_anechoic,) = render_groups(groups, decoders, rotation, order, pairs)

    speaking = slice(target.start, target.start + target.length)
    ratio = better_ear_ratio(targets[reference][speaking], noises[reference][speaking])
    if not 0 < ratio < np.inf:
        silent = "target is" if ratio == 0 else "interferers are"
        raise InputError(name, f"the {silent} silent while the target speaks", field="SNR", found=ratio)
    gain = ratio * 10 ** (-0.05 * snr)

    files: dict[str, NDArray[Any]] = {}
    for channel, norm in enumerate(options.channel_norms):
        signals = mixed(targets[channel], noises[channel], gain, norm)
        for signal, (samples, clipped) in zip(("target", "interferer", "mix"), signals, strict=True):
            file = _file(name, signal, channel)
            if clipped:
                log.warning("%s: %d samples clipped", file, clipped)
            files[file] = samples
    peak = float(max(target_anechoic.max(), -target_anechoic.min()))
    files[_file(name, "target_anechoic", reference)], _ = converted(target_anechoic, peak)
    files[_file(name, "hr")] = rotation.as_signal()
    return files


def _file(name: str, signal: str, channel: int | None = None) -> str:
    return scene_file(Path(), name, signal, channel).name


def _room_response(path: Path, order: int) -> Array:
    response, _ = read_audio(path, rate=SAMPLE_RATE, silence=False)
    channels, wanted = response.shape[1], channel_count(order)
    if channels < wanted:
        problem = f"too few ambisonic channels for order {order}"
        raise InputError(path, problem, field="channels", found=channels, wanted=f"{wanted} or more")
    return response[:, :wanted]


def _mono(samples: Array) -> Array:
    return samples[:, 0] if samples.shape[1] == 1 else np.mean(samples, axis=1)


def _target_sources(target: _Recording, scene: _Record, room: _Record, options: RenderOptions) -> tuple[Source, Source]:
    """The target in its room, and the target from straight ahead with the room's delay but no room."""
    signal = _mono(read_audio(target.path, rate=SAMPLE_RATE, silence=False)[0])
    duration, order = scene.integer("duration", 1), options.ambisonic_order
    if not 0 <= target.start < target.start + target.length <= duration:
        raise InputError(
            scene.where,
            "the target does not speak in the scene",
            field="target.time_start, target.time_end",
            found=f"{target.start}, {target.start + target.length}",
            wanted=f"samples from 0 to {duration}, the end after the start",
        )
    _check_length(target, scene.where, signal.size, options)
    response = _room_response(target.response, order)
    distance = np.linalg.norm(np.subtract(room.vector("target.position"), room.vector("listener.position")))
    delay = int(distance / SPEED_OF_SOUND * SAMPLE_RATE)
    return (
        Source(signal, response, target.start),
        Source(signal, straight_ahead(order)[None, :], target.start + delay),
    )


def _check_length(recording: _Recording, scene: str, found: int, options: RenderOptions) -> None:
    path, wanted = recording.path, recording.length
    if found >= wanted:
        return
    if options.short_sources == "error" or found <= 0:
        raise InputError(
            path,
            f"is shorter than scene {scene} needs",
            field="length",
            found=f"{max(found, 0)} samples",
            wanted=f"{wanted} samples",
            advice="build the scenes from the metadata of these files, or set render.short_sources to pad",
        )
    log.warning("%s: %d of %d samples that scene %s needs; padded with silence", path.name, found, wanted, scene)


def _interferer_sources(
    interferers: list[_Recording], scene: str, duration: int, options: RenderOptions
) -> list[Source]:
    sources = []
    for interferer in interferers:
        signal = _interferer_signal(interferer.path, interferer.offset, interferer.length, options)
        _check_length(interferer, scene, signal.size, options)
        sources.append(Source(signal, _room_response(interferer.response, options.ambisonic_order), interferer.start))
    if not sources:
        raise InputError(scene, "has no interferer", field="interferers", found=0, wanted="one or more")
    return _equalised(sources, duration) if options.equalise_loudness else sources


def _interferer_signal(path: Path, offset: int, length: int, options: RenderOptions) -> Array:
    samples, rate = read_audio(path, start=offset, frames=length)
    if rate == SAMPLE_RATE:
        return _mono(samples)
    if not options.resample_interferers:
        log.warning(
            "%s: %d Hz, used as if it were %d Hz (published behaviour; render.resample_interferers converts it)",
            path.name,
            rate,
            SAMPLE_RATE,
        )
        return _mono(samples)
    # Offset and length count samples at 44.1 kHz.
    samples, _ = read_audio(path)
    resampled: Array = resample(_mono(samples), rate, SAMPLE_RATE)
    return resampled[offset : offset + length]


def _equalised(sources: list[Source], duration: int) -> list[Source]:
    """Interferers scaled to the level of the loudest, measured in the omnidirectional channel."""
    levels = []
    for source in sources:
        omnidirectional = np.zeros((1, duration))
        convolve_interval([(source.signal, source.delay, source.response[:, :1].T)], 0, omnidirectional)
        levels.append(rms(omnidirectional))
    return [
        Source(source.signal * (max(levels) / level), source.response, source.delay) if level else source
        for source, level in zip(sources, levels, strict=True)
    ]
