"""The separation models: one row for each.

The module of a model is `hearlab.separation.<its name>`, with the functions `load` and `weights_files`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsFile:
    """A published weights file: its size in bytes and its whole sha256, where they are known."""

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class SeparationModel:
    """What is known of a model without loading it.

    Attributes:
        title: its name in the published leaderboards.
        seconds_per_second: what a second of a song takes on one core, in seconds (measured by `make bench`).
        weights: the published files.
        trainable: whether the stage train_separator can train it.
    """

    title: str
    seconds_per_second: float
    weights: tuple[WeightsFile, ...]
    trainable: bool = False


# Addresses of umxhq as openunmix 1.3.0 has them; size and hash as three independent public projects give them that
# fetched the files (the hashes begin with the digits in the names).
_UMXHQ = {
    "vocals-b62c91ce.pth": "b62c91cedbc7a066f1778ead5b5cecb377aa3a46a31af1cce7c5c8769339d083",
    "drums-9619578f.pth": "9619578f885c54737cb0234f9f9a4a679ee4f31438fd77fd1dbe02bb16c2da0a",
    "bass-8d85a5bd.pth": "8d85a5bd3f996a8867fca0e8442e077e5a3f5ec747a6112742452a8f347b39c8",
    "other-b52fbbf7.pth": "b52fbbf76479e752bd72e02304c602ac7802aa5bfbfb9cd12054b2695d5093ab",
}

SEPARATORS = {
    "openunmix": SeparationModel(
        "Open-Unmix",
        0.1,
        tuple(
            WeightsFile(name, f"https://zenodo.org/records/3370489/files/{name}", 35_637_796, digest)
            for name, digest in _UMXHQ.items()
        ),
        trainable=True,
    ),
    # Name and address as torchaudio 2.11 has them (HDEMUCS_HIGH_MUSDB); it publishes neither size nor hash. Its sister
    # hdemucs_high_trained.pt, of the same structure, has 334,697,255 bytes.
    "hdemucs": SeparationModel(
        "Demucs",
        0.36,
        (
            WeightsFile(
                "hdemucs_high_musdbhq_only.pt",
                "https://download.pytorch.org/torchaudio/models/hdemucs_high_musdbhq_only.pt",
            ),
        ),
    ),
}
