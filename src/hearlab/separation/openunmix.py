"""Open-Unmix: one network per stem that estimates the stem's magnitude spectrum from the mixture's.

As published (`umxhq` with `niter=0`): the estimates keep the mixture's phase, without Wiener filtering and without a
residual stem. The weights are files of one folder, `<target>.pth` or `<target>-<first digits of the sha256>.pth`. The
published ones need nothing else. Networks of another shape are described by files beside them, as openunmix itself and
`hearlab.separation.training` write them: `separator.json` and one `<target>.json` per target.

Stöter, Uhlich, Liutkus, Mitsufuji, Open-Unmix - A Reference Implementation for Music Source Separation, JOSS 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.separation.overlap_add import Chunks
from hearlab.separation.separator import Separator, chunk_model
from hearlab.separation.torch_audio import require_openunmix
from hearlab.separation.weights import WeightsFile, check_parameters, load_weights, missing_file

if TYPE_CHECKING:
    import torch

TARGETS = ("vocals", "drums", "bass", "other")
# Addresses of umxhq as openunmix 1.3.0 has them; size and hash as three independent public projects give them that
# fetched the files (the hashes begin with the digits in the names).
WEIGHTS = tuple(
    WeightsFile("openunmix", name, f"https://zenodo.org/records/3370489/files/{name}", 35_637_796, digest)
    for name, digest in {
        "vocals-b62c91ce.pth": "b62c91cedbc7a066f1778ead5b5cecb377aa3a46a31af1cce7c5c8769339d083",
        "drums-9619578f.pth": "9619578f885c54737cb0234f9f9a4a679ee4f31438fd77fd1dbe02bb16c2da0a",
        "bass-8d85a5bd.pth": "8d85a5bd3f996a8867fca0e8442e077e5a3f5ec747a6112742452a8f347b39c8",
        "other-b52fbbf7.pth": "b52fbbf76479e752bd72e02304c602ac7802aa5bfbfb9cd12054b2695d5093ab",
    }.items()
)
CHANNELS = 2
# Three buffers of 2019 that later versions of the network make themselves; openunmix ignores them too.
OBSOLETE = ("sample_rate", "stft.window", "transform.0.window")


@dataclass(frozen=True)
class UnmixShape:
    """The shape of an Open-Unmix network; the defaults are those of `umxhq`.

    `nfft` and `nhop` in samples, `bandwidth` in Hz: the network does not see higher bins of the mixture.
    """

    sample_rate: int = 44100
    nfft: int = 4096
    nhop: int = 1024
    bandwidth: float = 16000.0
    hidden_size: int = 512
    nb_layers: int = 3
    unidirectional: bool = False

    @property
    def bins(self) -> int:
        return self.nfft // 2 + 1

    @property
    def bins_used(self) -> int:
        """Bins up to `bandwidth`."""
        return int(np.count_nonzero(np.linspace(0, self.sample_rate / 2, self.bins) <= self.bandwidth))

    def network(self) -> torch.nn.Module:
        """The network of one target, with random weights."""
        network: torch.nn.Module = require_openunmix().OpenUnmix(
            nb_bins=self.bins,
            nb_channels=CHANNELS,
            hidden_size=self.hidden_size,
            nb_layers=self.nb_layers,
            unidirectional=self.unidirectional,
            max_bin=self.bins_used,
        )
        return network

    def separator(self, networks: Mapping[str, torch.nn.Module]) -> torch.nn.Module:
        """All targets together: (batch, 2, n) -> (batch, targets, 2, n)."""
        separator: torch.nn.Module = require_openunmix().Separator(
            target_models=dict(networks),
            niter=0,
            residual=False,
            sample_rate=float(self.sample_rate),
            n_fft=self.nfft,
            n_hop=self.nhop,
            nb_channels=CHANNELS,
        )
        return separator


def weights_files(folder: Path) -> list[Path]:
    """The weights files of all targets, and the descriptions beside them if there are any.

    Raises:
        InputError: no such folder, no file or several for a target, or a description is missing.
    """
    files = list(target_files(folder).values())
    if not (folder / "separator.json").exists():
        return files
    descriptions = [folder / f"{name}.json" for name in ("separator", *TARGETS)]
    for path in descriptions:
        if not path.is_file():
            raise InputError(path, "no such file", wanted="the description of a network")
    return [*files, *descriptions]


def target_files(folder: Path) -> dict[str, Path]:
    """The weights file of each target in `folder`.

    Raises:
        InputError: no such folder, or no file or several for a target.
    """
    if folder.is_file():
        raise InputError(folder, "is a file", wanted=f"a folder with a weights file for each of {', '.join(TARGETS)}")
    files = {}
    for target in TARGETS:
        found = sorted(p for p in folder.glob(f"{target}*.pth") if p.stem == target or p.stem.startswith(f"{target}-"))
        if len(found) > 1:
            raise InputError(
                folder, "has several weights files of one target", field=target, found=", ".join(p.name for p in found)
            )
        if not found:
            described = (folder / "separator.json").exists()
            published = (file.name for file in WEIGHTS if file.name.startswith(target))
            raise missing_file(folder / (f"{target}.pth" if described else next(published)), WEIGHTS)
        files[target] = found[0]
    return files


def load(folder: Path, device: torch.device, *, segment: float, overlap: float, threads: int | None) -> Separator:
    """The separator whose weights are in `folder`; for the arguments see `hearlab.separation.load_separator`.

    Raises:
        InputError: missing, damaged or wrong weights, a wrong description.
    """
    networks, shapes = {}, {}
    for target, path in target_files(folder).items():
        shape, hash_ = read_description(folder, target)
        state = load_weights(path, hash_, published=WEIGHTS)
        network = shape.network()
        wanted = network.state_dict()
        check_parameters(state, wanted, path, obsolete=OBSOLETE)
        network.load_state_dict({name: state[name] for name in wanted})
        networks[target], shapes[target] = network, shape
    shape = shapes[TARGETS[0]]  # rate and spectra are the same for all targets
    # The spectra mirror half a window at either end, so a chunk must be longer than that.
    model = chunk_model(shape.separator(networks), device, shortest=shape.nfft, threads=threads)
    return Separator(shape.sample_rate, TARGETS, model, Chunks.of_seconds(shape.sample_rate, segment, overlap))


def read_description(folder: Path, target: str) -> tuple[UnmixShape, str | None]:
    """The shape of a target's network and the sha256 of its weights, from the description beside them.

    Raises:
        InputError: a description is missing, or has no such value.
    """
    path = folder / "separator.json"
    if not path.exists():
        return UnmixShape(), None
    whole, own_path = read_json(path), folder / f"{target}.json"
    own = read_json(own_path)
    args = _value(own, "args", dict, own_path)
    if _value(whole, "nb_channels", int, path) != CHANNELS:
        raise InputError(path, "is not of stereo networks", field="nb_channels", wanted=CHANNELS)
    shape = UnmixShape(
        sample_rate=int(_value(whole, "sample_rate", (int, float), path)),
        nfft=_value(whole, "nfft", int, path),
        nhop=_value(whole, "nhop", int, path),
        bandwidth=_value(args, "bandwidth", (int, float), own_path),
        hidden_size=_value(args, "hidden_size", int, own_path),
        nb_layers=_value(args, "nb_layers", int, own_path) if "nb_layers" in args else UnmixShape.nb_layers,
        unidirectional=bool(args.get("unidirectional", False)),
    )
    hash_ = own.get("sha256")
    if hash_ is not None and not (isinstance(hash_, str) and re.fullmatch(r"[0-9a-f]{8,64}", hash_)):
        raise InputError(own_path, "is no hash", field="sha256", found=hash_, wanted="hexadecimal digits")
    return shape, hash_


def _value(table: Any, name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    value = table.get(name) if isinstance(table, dict) else None
    positive = isinstance(value, dict) or (isinstance(value, int | float) and value > 0)
    if not isinstance(value, kind) or isinstance(value, bool) or not positive:
        raise InputError(path, "describes no network", field=name, found=value, wanted="a positive number")
    return value
