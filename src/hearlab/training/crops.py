"""Training items: an excerpt of a scene at an SNR and a level, for a listener, all drawn from seed, step and item."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.enhancement.energies import BEAMS
from hearlab.enhancement.network import FREQUENCIES, features, losses_of
from hearlab.enhancement.spectra import RATE
from hearlab.listeners import Listener
from hearlab.training.materials import Scene, SceneFiles, frame_of, sample_of
from hearlab.training.settings import TrainingSettings

LED_IN = 0.5  # s before the target speaks that an excerpt may begin, but at most a quarter of the excerpt


@dataclass(frozen=True, eq=False)
class Item:
    """An excerpt of a scene for a listener.

    Attributes:
        scene, listener: whose.
        frames: of the scene's frames, those of the excerpt.
        snr, level: as drawn, dB.
        mixed: energies, shape (frames, bands, SIGNALS).
        ideal: share of the target in the energies of the front microphones, shape (frames, 2, bands).
        features: what the network is given of them.
        losses: what it is told of the listener.
    """

    scene: Scene
    listener: Listener
    frames: slice
    snr: float
    level: float
    mixed: NDArray[np.float32]
    ideal: NDArray[np.float32]
    features: NDArray[np.float32]
    losses: NDArray[np.float32]

    @property
    def samples(self) -> slice:
        return slice(sample_of(self.frames.start), sample_of(self.frames.stop))

    @property
    def name(self) -> str:
        return f"{self.scene.name} {self.listener.id} at {self.snr:.1f} dB"


def generator(*names: object) -> np.random.Generator:
    """A random stream of its own for a name, such as seed, step and item."""
    digest = hashlib.sha256(" ".join(map(str, names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def draw_item(
    scenes: SceneFiles,
    indices: Sequence[int],
    listeners: Sequence[Listener],
    settings: TrainingSettings,
    *names: object,
) -> Item:
    """An item of the scenes `indices`, drawn from the settings' seed and `names`."""
    rng = generator(settings.seed, *names)
    scene = scenes.scene(indices[int(rng.integers(len(indices)))])
    listener = listeners[int(rng.integers(len(listeners)))]
    snr, level = rng.uniform(*settings.snr_range), rng.uniform(*settings.level_range)
    frames, wanted = scene.parts.shape[1], excerpt_frames(settings)
    # Silence teaches little: an excerpt begins shortly before the target speaks, or while it does.
    led_in = min(LED_IN, settings.excerpt / 4)
    earliest = max(0, frame_of(scene.speech[0] - round(led_in * RATE)))
    latest = max(earliest, min(frame_of(scene.speech[1]), frames) - wanted)
    start = min(int(rng.integers(earliest, latest + 1)), max(0, frames - wanted))
    return item(scene, listener, slice(start, min(start + wanted, frames)), snr, level)


def item(scene: Scene, listener: Listener, frames: slice, snr: float, level: float) -> Item:
    """The item of this excerpt."""
    mixed = scene.mixed(snr, level, frames)
    target, interferer = scene.parts[:2, frames, :, BEAMS:]
    noise = np.float32(scene.gain(snr) ** 2) * interferer
    ideal = (target / (target + noise + np.float32(1e-12))).swapaxes(1, 2)
    told = losses_of([ear.at(FREQUENCIES) for ear in (listener.left, listener.right)]).astype(np.float32)
    return Item(scene, listener, frames, snr, level, mixed, ideal, features(mixed), told)


def excerpt_frames(settings: TrainingSettings) -> int:
    """How many frames an excerpt has."""
    return max(2, frame_of(round(settings.excerpt * RATE)))


def stacked(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Arrays of one shape but for their first axis, which are filled up with zeros."""
    longest = max(array.shape[0] for array in arrays)
    whole = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: array.shape[0]] = array
    return whole
