"""Audio files and sample formats: checked reading, the published 16-bit rules, RMS, resampling.

Inside HearLab a signal is float64 in [-1, 1], samples along axis 0 and channels along axis 1.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.files import atomic_path
from hearlab.names import lookalike

Samples = NDArray[np.float64]
Samples32 = NDArray[np.float32]

# Full scale of 16-bit files. The published scene renderer multiplies by 32767, its enhancer by 32768.
SCENE_FULL_SCALE = 32767
ENHANCED_FULL_SCALE = 32768
# Samples of all channels that are held at once, 1.6 GB: 37 minutes of stereo at 44.1 kHz, where MUSDB's longest song
# has 10. The longest recording of the CEC2 lists, 65 minutes of one channel, has 173 million.
MOST_SAMPLES = 200_000_000
# Lengths of the data of a WAV file that was written into a pipe: 0x7FFFF000 of SoX, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF.
PIPED = ((0x7FFFF000, 0x80000000), (0xFFFFF000, 0xFFFFFFFF))
NO_LENGTH = 1 << 62  # libsndfile gives more frames than these for a FLAC file that does not say how many it has
BLOCK = 1 << 18  # frames that are decoded at once


def read_audio(
    path: str | os.PathLike[str],
    *,
    rate: int | None = None,
    channels: int | None = None,
    start: int = 0,
    frames: int | None = None,
    silence: bool = True,
) -> tuple[Samples, int]:
    """Read a WAV, FLAC or MP3 file.

    Args:
        path: the file.
        rate: wanted sample rate in Hz, if it matters.
        channels: wanted number of channels, if it matters.
        start: first frame to read.
        frames: number of frames to read at most; fewer come back when the file ends before.
        silence: whether a signal of zeros is allowed.

    Returns:
        samples of shape (n, channels) in float64 (16-bit values are divided by 32768) and the sample rate in Hz.

    Raises:
        InputError: missing, unreadable or truncated file, another rate or channel count, samples that are not
            finite numbers, silence where it is not allowed.

    Examples:
        >>> import numpy as np, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "sound.wav")
        ...     write_wav(path, to_pcm16(np.full((100, 2), 0.5), 32768), 44100)
        ...     samples, rate = read_audio(path, channels=2)
        >>> samples.shape, rate, float(samples[0, 0])
        ((100, 2), 44100, 0.5)
    """
    path = Path(path)
    with opened(path) as sound:
        found_rate, found_channels, length = sound.samplerate, sound.channels, sound.frames
        if rate is not None and found_rate != rate:
            raise InputError(
                path, "wrong sample rate", field="sample rate", found=f"{found_rate} Hz", wanted=f"{rate} Hz"
            )
        if channels is not None and found_channels != channels:
            raise InputError(path, "wrong number of channels", field="channels", found=found_channels, wanted=channels)
        left = max(length - start, 0)
        wanted_frames = left if frames is None else min(max(frames, 0), left)
        # An MP3 decodes differently after a jump (by up to 1e-3 near its end), so it is read from its beginning.
        skip = start if _is_mp3(path) else 0
        check_size(path, skip + wanted_frames, found_channels, found_rate)
        if start and not skip and wanted_frames:
            sound.seek(start)
        pcm16 = sound.subtype == "PCM_16"
        read = sound.read(skip + wanted_frames, dtype="int16" if pcm16 else "float64", always_2d=True)[skip:]
    # libsndfile takes four times as long to give the same values as floats.
    samples = np.multiply(read, 2.0**-15, dtype=np.float64) if pcm16 else read
    # MP3 headers may promise a few frames more than decode; lossless formats must hold what they promise.
    if samples.shape[0] < wanted_frames and not _is_mp3(path):
        raise InputError(
            path,
            "is truncated",
            found=f"{start + samples.shape[0]} frames",
            wanted=f"{start + wanted_frames} frames",
            advice="fetch or make it again",
        )
    check_signal(read, path, silence=silence)
    return samples, found_rate


@contextlib.contextmanager
def opened(path: Path, *, whole: bool = True) -> Iterator[soundfile.SoundFile]:
    """An audio file, open for reading; `whole`: it must hold all that its header promises.

    Raises:
        InputError: missing, unreadable, truncated, or of a recorder that was stopped before it wrote the length.
    """
    if not path.is_file():
        raise InputError(path, "no such file", wanted="an audio file (WAV, FLAC or MP3)", advice=lookalike(path))
    _check_wav(path, whole)
    try:
        with sound_in(path) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        raise InputError(path, "cannot be read as audio", found=error.error_string) from None


@contextlib.contextmanager
def sound_in(file: Path | BinaryIO) -> Iterator[soundfile.SoundFile]:
    """The same without checks, and with errors of libsndfile; the length is right for files from a pipe, too."""
    with soundfile.SoundFile(file) as sound:
        if sound.frames < NO_LENGTH:
            yield sound
            return
    if not isinstance(file, Path):
        file.seek(0)
    with _FromPipe(file) as sound:
        yield sound


class _FromPipe(soundfile.SoundFile):
    """A FLAC file that does not say how long it is: an encoder that writes into a pipe cannot go back to its header.

    It is decoded to its end once. libsndfile cannot be positioned there, which soundfile does after each reading.
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        super().__init__(file)
        self._length = 0
        while self._length * self.channels <= MOST_SAMPLES and (block := len(self.read(BLOCK, dtype="int16"))):
            self._length += block
        self.seek(0)

    def seekable(self) -> bool:
        return False

    @property
    def frames(self) -> int:
        return self._length


def check_size(path: Path, frames: int, channels: int, rate: int) -> None:
    """Before memory is taken: some kilobytes of FLAC stand for gigabytes of samples, and a header for any number."""
    if frames * channels > MOST_SAMPLES:
        raise InputError(
            path,
            "is too long",
            found=f"{frames / rate:.0f} s of {channels} channels at {rate} Hz",
            wanted=f"at most {MOST_SAMPLES} samples of all channels",
        )


def _is_mp3(path: Path) -> bool:
    return path.suffix.lower() == ".mp3"


def _check_wav(path: Path, whole: bool) -> None:
    """Compare the data size that a RIFF header promises with the size of the file.

    libsndfile shortens the length of a truncated file in silence, so the header is read here. What is written into a
    pipe promises as much as fits into 31 or 32 bits, and reaches to the end of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return  # RF64 and the like: their sizes are not in 32-bit fields
        position = 12
        while position + 8 <= size:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(8))
            behind = size - position - 8
            if name == b"data":
                if length == 0 and behind > 0 and struct.unpack("<I", head[4:8])[0] + 8 < size:
                    raise InputError(
                        path,
                        "was never finished: its header was not closed",
                        field="data chunk",
                        found=f"a length of 0 and {behind} bytes behind it",
                        advice="record or write it again, or repair its header (sox --ignore-length IN.wav OUT.wav)",
                    )
                if whole and length > behind and not any(first <= length <= last for first, last in PIPED):
                    raise InputError(
                        path,
                        "is truncated",
                        field="data chunk",
                        found=f"{behind} bytes",
                        wanted=f"{length} bytes",
                        advice="fetch or make it again",
                    )
                return
            position += 8 + length + length % 2


def check_signal(samples: NDArray[Any], where: str | os.PathLike[str], *, silence: bool = False) -> None:
    """Raise an InputError naming `where` if `samples` is empty, has a NaN or infinity, or (unless allowed) is zero."""
    if samples.size == 0:
        if silence:
            return
        raise InputError(where, "is empty", found="0 samples")
    if not np.all(np.isfinite(samples)):
        bad = np.argwhere(~np.isfinite(samples))[0]
        place = f"sample {bad[0]}" + (f" channel {bad[1]}" if bad.size > 1 else "")
        raise InputError(
            where, "is not a finite number", field=place, found=samples[tuple(bad)], wanted="finite samples"
        )
    if not silence and not np.any(samples):
        raise InputError(where, "is silent", found=f"{samples.shape[0]} samples, all zero")


def to_pcm16(samples: Samples, full_scale: int) -> NDArray[np.int16]:
    """Convert to 16 bit: times `full_scale`, truncated towards zero.

    Values beyond [-1, 1] saturate; with a full scale of 32768 a value of 1.0 saturates at 32767 (the published
    enhancer lets it wrap to -32768).

    Examples:
        >>> import numpy as np
        >>> to_pcm16(np.array([-2.0, 0.5, 1.0]), 32767).tolist()
        [-32767, 16383, 32767]
    """
    scaled = np.clip(samples, -1.0, 1.0)
    scaled *= full_scale
    return np.minimum(scaled, 32767.0, out=scaled).astype(np.int16)


def write_wav(path: str | os.PathLike[str], samples: NDArray[np.generic], rate: int) -> None:
    """Write int16, float32 or float64 samples, shape (n,) or (n, channels), as WAV with an atomic rename.

    scipy writes the same bytes for the same samples; libsndfile puts the time into float files.

    Examples:
        >>> import numpy as np, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "sound.wav")
        ...     write_wav(path, np.zeros((100, 2), dtype=np.int16), 44100)
        ...     path.stat().st_size
        444
    """
    from scipy.io import wavfile  # takes 0.15 s to import, which scoring does without

    with atomic_path(path) as temporary:
        wavfile.write(temporary, rate, samples)


@contextlib.contextmanager
def float_wav(
    path: str | os.PathLike[str], rate: int, channels: int, frames: int
) -> Iterator[Callable[[Samples32], None]]:
    """Write a float32 WAV block by block with an atomic rename, the same bytes for the same samples.

    Gives a function that appends a block of shape (n, channels); all blocks together have `frames` frames.

    Raises:
        ValueError: more or fewer frames than promised were written.
    """
    header, data_bytes = _float_wav_header(rate, channels, frames)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header)

        def append(block: Samples32) -> None:
            if block.ndim != 2 or block.shape[1] != channels:
                raise ValueError(f"block of shape {block.shape}, wanted (n, {channels})")
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())

        yield append
        if file.tell() != len(header) + data_bytes:
            raise ValueError(f"{file.tell() - len(header)} bytes of samples written, wanted {data_bytes}")


def _float_wav_header(rate: int, channels: int, frames: int) -> tuple[bytes, int]:
    """RIFF header of 32-bit float samples (format 3, with its fact chunk), and the number of bytes after it."""
    frame_bytes = 4 * channels
    data_bytes = frames * frame_bytes
    chunks = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, channels, rate, rate * frame_bytes, frame_bytes, 32, 0)
    chunks += struct.pack("<4sII", b"fact", 4, frames)
    chunks += struct.pack("<4sI", b"data", data_bytes)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + data_bytes, b"WAVE") + chunks, data_bytes


def rms(samples: Samples) -> float:
    """Root mean square over all samples; 0 for an empty signal.

    Examples:
        >>> import numpy as np
        >>> rms(np.array([0.5, -0.5, 0.5]))
        0.5
    """
    return float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0


def resample(samples: Samples, rate: float, new_rate: float) -> Samples:
    """Resample along axis 0 with soxr (high quality); the same array when the rates are equal.

    Examples:
        >>> import numpy as np
        >>> resample(np.zeros((44100, 2)), 44100, 24000).shape
        (24000, 2)
    """
    if rate == new_rate:
        return samples
    return soxr.resample(samples, rate, new_rate, quality="HQ")
