"""Rendering a scene: from its description, room responses and source recordings to hearing-aid microphone files."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import read_audio, resample, rms, write_wav
from hearlab.datasets.layout import SAMPLE_RATE, SOURCE_SPLIT, ClarityData, scene_file
from hearlab.errors import InputError
from hearlab.scenes.ambisonics import MAX_ORDER, channel_count, straight_ahead
from hearlab.scenes.binaural import Source, render_groups
from hearlab.scenes.head_rotation import head_track
from hearlab.scenes.hrirs import microphone_filters
from hearlab.scenes.interval_convolution import convolve_interval
from hearlab.scenes.pcm16 import converted, mixed
from hearlab.scenes.speech_snr import better_ear_ratio

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

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
    """
    options = options or RenderOptions()
    name = str(_field(scene, "scene", "scene"))
    signals = _render(name, scene, room, ClarityData(Path(data_root)), options)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    # All files of a scene are written beside their place first, so that a full disk leaves no half of a scene.
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
    options = options or RenderOptions()
    name, data = str(_field(scene, "scene", "scene")), ClarityData(Path(data_root))
    split, room = _split(scene, name), str(_field(scene, "room", name))
    files = [
        data.hrir_metadata,
        *(data.hrir(microphone) for microphone in _field(scene, "listener.hrir_filename", name)),
        data.target(split, str(_field(scene, "target.name", name))),
        data.room_response(split, room, "t"),
    ]
    for index, entry in enumerate(_field(scene, "interferers", name), start=1):
        where = f"{name} interferer {index}"
        files.append(data.interferer(split, str(_field(entry, "type", where)), str(_field(entry, "name", where))))
        files.append(data.room_response(split, room, _response_name(entry, index, where, options)))
    return list(dict.fromkeys(files))


def scene_outputs(name: str, options: RenderOptions | None = None) -> list[str]:
    """Names of the files that `render_scene` writes for the scene `name`."""
    options = options or RenderOptions()
    channels = range(len(options.channel_norms))
    files = [_file(name, signal, channel) for channel in channels for signal in ("target", "interferer", "mix")]
    return [*files, _file(name, "target_anechoic", options.reference_channel), _file(name, "hr")]


def _response_name(entry: Mapping[str, Any], index: int, where: str, options: RenderOptions) -> str:
    number = int(_field(entry, "position", where)) if options.interferer_response == "position" else index
    return f"i{number}"


def _render(
    name: str, scene: Mapping[str, Any], room: Mapping[str, Any], data: ClarityData, options: RenderOptions
) -> dict[str, NDArray[Any]]:
    duration = int(_field(scene, "duration", name))
    track = head_track(
        _field(scene, "listener.rotation", name),
        _field(room, "listener.view_vector", f"room {room.get('name')}"),
        duration,
        name,
    )
    target, anechoic = _target_sources(name, scene, room, data, options)
    interferers = _interferer_sources(name, scene, data, options)
    microphones = _field(scene, "listener.hrir_filename", name)
    if len(microphones) != len(options.channel_norms):
        raise InputError(
            name,
            "number of microphone pairs and of channel norms differ",
            field="listener.hrir_filename",
            found=len(microphones),
            wanted=len(options.channel_norms),
        )
    decoders = [
        microphone_filters(data.hrir(microphone), data.hrir_metadata, options.ambisonic_order)
        for microphone in microphones
    ]
    order, reference = options.ambisonic_order, options.reference_channel
    everywhere = range(len(decoders))
    targets, noises, (target_anechoic,) = render_groups(
        [[target], interferers, [anechoic]], decoders, track, order, [everywhere, everywhere, [reference]]
    )

    begin, end = int(_field(scene, "target.time_start", name)), int(_field(scene, "target.time_end", name))
    ratio = better_ear_ratio(targets[reference][begin:end], noises[reference][begin:end])
    if not 0 < ratio < np.inf:
        silent = "target is" if ratio == 0 else "interferers are"
        raise InputError(name, f"the {silent} silent while the target speaks", field="SNR", found=ratio)
    gain = ratio * 10 ** (-0.05 * float(_field(scene, "SNR", name)))

    files: dict[str, NDArray[Any]] = {}
    for channel, norm in enumerate(options.channel_norms):
        signals = mixed(targets[channel], noises[channel], gain, norm)
        for signal, (samples, clipped) in zip(("target", "interferer", "mix"), signals, strict=True):
            file = _file(name, signal, channel)
            _warn_of_clipping(file, clipped)
            files[file] = samples
    peak = float(max(target_anechoic.max(), -target_anechoic.min()))
    files[_file(name, "target_anechoic", reference)], _ = converted(target_anechoic, peak)
    files[_file(name, "hr")] = track.as_signal()
    return files


def _file(name: str, signal: str, channel: int | None = None) -> str:
    return scene_file(Path(), name, signal, channel).name


def _warn_of_clipping(file: str, clipped: int) -> None:
    if clipped:
        log.warning("%s: %d samples clipped", file, clipped)


def _field(record: Mapping[str, Any], path: str, where: str) -> Any:
    """Value at a dotted path of a JSON record, or an InputError that names the path."""
    value: Any = record
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise InputError(where, "field is missing", field=path)
        value = value[key]
    return value


def _split(scene: Mapping[str, Any], name: str) -> str:
    split = _field(scene, "dataset", name)
    if split not in SOURCE_SPLIT:
        raise InputError(name, "unknown split", field="dataset", found=split, wanted=" or ".join(SOURCE_SPLIT))
    return str(split)


def _room_response(data: ClarityData, split: str, room: str, source: str, order: int) -> Array:
    path = data.room_response(split, room, source)
    response, _ = read_audio(path, rate=SAMPLE_RATE, silence=False)
    wanted = channel_count(order)
    if response.shape[1] < wanted:
        raise InputError(
            path,
            f"too few ambisonic channels for order {order}",
            field="channels",
            found=response.shape[1],
            wanted=f"{wanted} or more",
        )
    return response[:, :wanted]


def _mono(samples: Array) -> Array:
    return samples[:, 0] if samples.shape[1] == 1 else np.mean(samples, axis=1)


def _target_sources(
    name: str, scene: Mapping[str, Any], room: Mapping[str, Any], data: ClarityData, options: RenderOptions
) -> tuple[Source, Source]:
    """The target in its room, and the target from straight ahead with the room's delay but no room."""
    split, order = _split(scene, name), options.ambisonic_order
    path = data.target(split, str(_field(scene, "target.name", name)))
    signal = _mono(read_audio(path, rate=SAMPLE_RATE, silence=False)[0])
    start = int(_field(scene, "target.time_start", name))
    wanted = int(_field(scene, "target.time_end", name)) - start
    duration = int(_field(scene, "duration", name))
    if wanted <= 0 or not 0 <= start < duration:
        raise InputError(
            name,
            "the target does not speak in the scene",
            field="target.time_start, target.time_end",
            found=f"{start}, {start + wanted}",
            wanted=f"samples from 0 to {duration}, the end after the start",
        )
    _check_length(path, name, signal.size, wanted, options)
    response = _room_response(data, split, str(_field(scene, "room", name)), "t", order)
    where = f"room {room.get('name')}"
    distance = np.linalg.norm(
        np.subtract(_field(room, "target.position", where), _field(room, "listener.position", where))
    )
    delay = int(distance / SPEED_OF_SOUND * SAMPLE_RATE)
    return (
        Source(signal, response, start),
        Source(signal, straight_ahead(order)[None, :], start + delay),
    )


def _check_length(path: Path, scene: str, found: int, wanted: int, options: RenderOptions) -> None:
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


def _interferer_sources(name: str, scene: Mapping[str, Any], data: ClarityData, options: RenderOptions) -> list[Source]:
    split, order = _split(scene, name), options.ambisonic_order
    room, duration = str(_field(scene, "room", name)), int(_field(scene, "duration", name))
    sources = []
    for index, entry in enumerate(_field(scene, "interferers", name), start=1):
        where = f"{name} interferer {index}"
        path = data.interferer(split, str(_field(entry, "type", where)), str(_field(entry, "name", where)))
        offset, start = int(_field(entry, "offset", where)), int(_field(entry, "time_start", where))
        wanted = int(_field(entry, "time_end", where)) - start
        signal = _interferer_signal(path, offset, wanted, options)
        _check_length(path, name, signal.size, wanted, options)
        response = _room_response(data, split, room, _response_name(entry, index, where, options), order)
        sources.append(Source(signal, response, start))
    if not sources:
        raise InputError(name, "has no interferer", field="interferers", found=0, wanted="one or more")
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
    converted: Array = resample(_mono(samples), rate, SAMPLE_RATE)
    return converted[offset : offset + length]


def _equalised(sources: list[Source], duration: int) -> list[Source]:
    """Interferers scaled to the level of the loudest, measured in the omnidirectional channel."""
    levels = []
    for source in sources:
        heard = np.zeros((1, duration))
        convolve_interval([(source.signal, source.delay, source.response[:, :1].T)], 0, heard)
        levels.append(rms(heard))
    return [
        Source(source.signal * (max(levels) / level), source.response, source.delay) if level else source
        for source, level in zip(sources, levels, strict=True)
    ]
