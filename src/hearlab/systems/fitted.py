"""Music by filters that were fitted to the listener with HAAQI (stage fit_music); speech as the baseline does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.layout import SIDES
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.fitting.fir import convolve
from hearlab.fitting.stem_filters import CENTRES, FitSettings, StemFilter
from hearlab.listeners import Audiogram, Listener
from hearlab.systems.baseline import Baseline

MADE_BY = "dvc repro fit_music makes it"


class Fitted:
    """Each stem through NAL-R with a fitted correction, and with fitted shares of the other stems.

    Args:
        filters: the folder of the fitted filters. The stages give it; it is no parameter of params.yaml.
        settings: of the fit, see `hearlab.fitting.stem_filters.FitSettings`.

    Raises:
        InputError: a setting is unknown or wrong.
    """

    def __init__(
        self,
        *,
        filters: str | None = None,
        taps: int = FitSettings.taps,
        bleed: bool = FitSettings.bleed,
        steps: int = FitSettings.steps,
        learning_rate: float = FitSettings.learning_rate,
        batch: int = FitSettings.batch,
        crop: float = FitSettings.crop,
        songs: int = FitSettings.songs,
        excerpt: float = FitSettings.excerpt,
    ) -> None:
        self.settings = FitSettings(taps, bleed, steps, learning_rate, batch, crop, songs, excerpt)
        self._filters = None if filters is None else Path(filters)
        self._speech = Baseline(nalr={"taps": taps})

    def speech(self, microphones: dict[str, Array], rate: int, listener: Listener) -> Array:
        """As `hearlab.systems.baseline.Baseline` with its default values."""
        return self._speech.speech(microphones, rate, listener)

    def music(self, stems: dict[str, Array], rate: int, listener: Listener) -> dict[str, Array]:
        """Filter each stem for both ears.

        Args:
            stems: {name: (n, 2)}, all of one length.
            rate: sample rate in Hz.
            listener: for whom the filters were fitted.

        Returns:
            {name: (n + taps, 2)}, the same keys.

        Raises:
            InputError: there are no filters for the listener, or they were fitted to another audiogram; stems of
                another shape.
        """
        if self._filters is None:
            raise InputError("fitted", "has no filters", advice="run it by the stage enhance_music, after fit_music")
        for name, samples in stems.items():
            if samples.ndim != 2 or samples.shape[1] != 2 or samples.shape[0] == 0:
                raise InputError(f"stem {name}", "wrong shape", found=samples.shape, wanted="(n, 2), n > 0")
        if len({samples.shape for samples in stems.values()}) > 1:
            found = ", ".join(f"{name} {samples.shape[0]}" for name, samples in stems.items())
            raise InputError("stems", "differ in length", found=found)
        return {name: self._filtered(name, stems, rate, listener, self._filters) for name in stems}

    def _filtered(self, stem: str, stems: Mapping[str, Array], rate: int, listener: Listener, folder: Path) -> Array:
        fitted = read_filters(filters_file(folder, listener.id, stem), listener, stem)
        ears = []
        for ear, (side, audiogram) in enumerate(zip(SIDES, _audiograms(listener), strict=True)):
            firs = fitted[side].firs(stem, audiogram, self.settings.taps, rate)
            unknown = [name for name in firs if name not in stems]
            if unknown:
                raise InputError("stems", "stem is missing", found=", ".join(stems), wanted=unknown[0])
            ears.append(np.sum([convolve(stems[name][:, ear], fir) for name, fir in firs.items()], axis=0))
        return np.stack(ears, axis=1)


def filters_file(folder: Path, listener: str, stem: str) -> Path:
    """The file of the filters of a listener's stem, both ears."""
    return folder / listener / f"{stem}.json"


def filters_content(listener: Listener, stem: str, filters: Mapping[str, StemFilter], scores: Any) -> dict[str, Any]:
    """What is written to `filters_file`.

    Args:
        listener: with the audiograms that were fitted to.
        stem: its name.
        filters: side -> filter.
        scores: side -> mean HAAQI of the crops of the first and the last steps; for information.
    """
    ears = {
        side: {
            "correction": list(one.correction),
            "shares": {name: list(values) for name, values in one.shares.items()},
            "haaqi": scores[side],
        }
        for side, one in filters.items()
    }
    return {"listener": listener.as_entry(), "stem": stem, "frequencies": list(CENTRES), **ears}


def read_filters(path: Path, listener: Listener, stem: str) -> dict[str, StemFilter]:
    """The filters of a stem by side.

    Raises:
        InputError: no such file, or it is damaged, of another stem, or fitted to another audiogram.
    """
    if not path.is_file():
        raise InputError(path, "there are no filters fitted to this listener", advice=MADE_BY)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("stem") != stem:
        raise InputError(path, "is no file of this stem's filters", wanted=stem, advice=MADE_BY)
    if content.get("listener") != listener.as_entry():
        problem = "was fitted to another audiogram"
        raise InputError(path, problem, field="listener", wanted=f"that of {listener.id}", advice=MADE_BY)
    if content.get("frequencies") != list(CENTRES):
        raise InputError(path, "has other bands", field="frequencies", wanted=list(CENTRES), advice=MADE_BY)
    return {side: _filter(path, side, content.get(side)) for side in SIDES}


def _filter(path: Path, side: str, entry: Any) -> StemFilter:
    try:
        shares = {str(name): tuple(values) for name, values in entry["shares"].items()}
        return StemFilter(tuple(entry["correction"]), shares)
    except (TypeError, KeyError, AttributeError):
        raise InputError(path, "is damaged", field=side, wanted="correction and shares", advice=MADE_BY) from None
    except InputError as error:
        problem, where = error.problem, f"{side}.{error.field}"
        raise InputError(path, problem, field=where, found=error.found, wanted=error.wanted, advice=MADE_BY) from None


def _audiograms(listener: Listener) -> tuple[Audiogram, Audiogram]:
    return listener.left, listener.right
