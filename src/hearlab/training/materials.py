"""Scenes to train with: targets and interferers apart, so that each can be mixed at any SNR, and their energies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.audio import read_audio, rms
from hearlab.datasets.layout import scene_file
from hearlab.enhancement.energies import MICROPHONES, energies_of_parts
from hearlab.enhancement.spectra import BINS, HELD, HOP, RATE, Spectra, analysed
from hearlab.errors import InputError

KEPT_BYTES = 2 << 30  # scenes are kept in memory as long as they fit
PAIRS = (1, 2, 3)  # the microphone pairs of the hearing aid
FRONT = 1
QUIET = 1e-3  # of the peak: where the target speaks


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene in parts.

    Attributes:
        name: of the scene.
        front: target and interferers at the front microphones, shape (2, n, 2).
        reference: what the metrics compare with, shape (n, 2): the target without the room, with the level of the
            target at the front microphones.
        parts: energies of target and interferers and what their sum adds, of every HELD-th frame, shape
            (3, frames, bands, SIGNALS).
        speech: first and last sample at which the target speaks.
        snr: dB at the front microphones' better ear, while it speaks.
    """

    name: str
    front: NDArray[np.float32]
    reference: NDArray[np.float32]
    parts: NDArray[np.float32]
    speech: tuple[int, int]
    snr: float

    @property
    def nbytes(self) -> int:
        return self.front.nbytes + self.reference.nbytes + self.parts.nbytes

    def mixed(self, snr: float | None, level: float, frames: slice) -> NDArray[np.float32]:
        """Energies of the mixture at an SNR in dB (None: its own), louder by `level` dB; (frames, bands, SIGNALS)."""
        target, interferer, cross = self.parts[:, frames]
        gain = np.float32(self.gain(snr))
        power = np.float32(10 ** (level / 10))
        return np.maximum(target + gain * gain * interferer + gain * cross, 0) * power

    def gain(self, snr: float | None) -> float:
        """The factor that brings the interferers to an SNR."""
        return 1.0 if snr is None else float(10 ** ((self.snr - snr) / 20))


class SceneFiles:
    """Rendered scenes on the disk, in the pipeline's files; those that fit are kept in memory."""

    def __init__(self, folders: Sequence[tuple[Path, str]]) -> None:
        """`folders`: of each scene its folder and its name."""
        self.scenes = list(folders)
        self._beams: NDArray[np.complex128] | None = None
        self._bands = 0
        self._kept: dict[int, Scene] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.scenes)

    def prepare(self, beams: NDArray[np.complex128], bands: int) -> None:
        """Take energies with these beams from now on."""
        self._beams, self._bands = beams, bands
        self._kept, self._bytes = {}, 0

    def scene(self, index: int) -> Scene:
        """A scene.

        Raises:
            InputError: a file is missing or wrong, or the target is silent.
        """
        if index not in self._kept:
            scene = self._read(index)
            if self._bytes + scene.nbytes > KEPT_BYTES:
                return scene
            self._kept[index] = scene
            self._bytes += scene.nbytes
        return self._kept[index]

    def spectra(self, index: int) -> tuple[Spectra, Spectra]:
        """Spectra of the target and of the interferers at all microphones, of every HELD-th frame."""
        target, interferer = self._stems(index)
        return analysed(target, HELD), analysed(interferer, HELD)

    def fingerprint(self) -> str:
        """A hash of the scenes' names and of how long each is: what a checkpoint must agree with."""
        digest = hashlib.sha256()
        for folder, name in self.scenes:
            size = _file(folder, name, "target", FRONT).stat().st_size
            digest.update(f"{name} {size}\n".encode())
        return digest.hexdigest()

    def _stems(self, index: int) -> tuple[Array, Array]:
        folder, name = self.scenes[index]
        target, interferer = (
            np.concatenate([_read(_file(folder, name, signal, pair)) for pair in PAIRS], axis=1)
            for signal in ("target", "interferer")
        )
        return target, interferer

    def _read(self, index: int) -> Scene:
        if self._beams is None:
            raise ValueError("prepare comes first")
        folder, name = self.scenes[index]
        target, interferer = self._stems(index)
        anechoic_file = _file(folder, name, "target_anechoic", FRONT)
        anechoic = _read(anechoic_file)
        for file, signal in ((anechoic_file, anechoic), (_file(folder, name, "target", FRONT), target[:, :2])):
            if not np.all(np.any(signal, axis=0)):
                raise InputError(file, "is silent", advice="a silent target teaches nothing")
        spectra = analysed(target, HELD), analysed(interferer, HELD)
        parts = energies_of_parts(*spectra, self._beams, self._bands)
        levels = np.array([rms(target[:, ear]) / rms(anechoic[:, ear]) for ear in (0, 1)])
        (loud,) = np.nonzero(np.abs(anechoic).max(axis=1) > QUIET * np.abs(anechoic).max())
        speech = int(loud[0]), int(loud[-1]) + 1
        speaking = slice(*speech)
        power = [np.mean(stem[speaking, :2] ** 2, axis=0) for stem in (target, interferer)]
        snr = float(10 * np.log10(np.max((power[0] + 1e-12) / (power[1] + 1e-12))))
        front = np.stack([target[:, :2], interferer[:, :2]]).astype(np.float32)
        return Scene(name, front, (anechoic * levels).astype(np.float32), parts, speech, snr)


def mean_covariances(scenes: SceneFiles, indices: Iterable[int]) -> NDArray[np.complex128]:
    """Covariances of targets and of interferers at the microphones, each bin of each scene counting the same.

    Returns:
        shape (2, BINS, MICROPHONES, MICROPHONES), added up.
    """
    sums = np.zeros((2, BINS, MICROPHONES, MICROPHONES), dtype=np.complex128)
    for index in indices:
        for part, spectra in enumerate(scenes.spectra(index)):
            matrix = np.einsum("tfi,tfj->fij", spectra, spectra.conj())
            trace = np.trace(matrix, axis1=1, axis2=2).real
            sums[part] += matrix / np.maximum(trace, 1e-30)[:, None, None]
    return sums


def frame_of(sample: int) -> int:
    """The number, among every HELD-th frame, of the frame that ends at a sample."""
    return sample // (HELD * HOP)


def sample_of(frame: int) -> int:
    """The sample before which a frame of that number begins to be counted."""
    return frame * HELD * HOP


def _file(folder: Path, name: str, signal: str, pair: int) -> Path:
    return scene_file(folder, name, signal, pair)


def _read(path: Path) -> Array:
    return read_audio(path, rate=RATE, channels=2, silence=False)[0]
