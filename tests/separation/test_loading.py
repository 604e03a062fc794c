"""From names and folders to separators, and what is said when something is wrong."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hearlab.errors import InputError, ParameterError
from hearlab.params import PUBLISHED_WEIGHTS, load_params
from hearlab.separation import Separator, load_separator, weights_files
from hearlab.separation.loading import loader
from hearlab.separation.openunmix import OBSOLETE, TARGETS, UnmixShape
from hearlab.separation.overlap_add import Chunks
from hearlab.separation.weights import published_files
from hearlab.separators import SEPARATORS, SeparationModel

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

REPOSITORY = Path(__file__).resolve().parents[2]
SHAPE = UnmixShape(sample_rate=44100, nfft=512, nhop=128, bandwidth=8000, hidden_size=8, nb_layers=1)


def save_named(folder, target, state):
    """Save weights under a name with the first digits of their hash, as the published ones have it."""
    path = folder / "saving"
    torch.save(state, path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(folder / f"{target}-{digits}.pth")


def save_described(folder, shape=SHAPE, seed=0):
    """Save random networks of any shape with the descriptions that openunmix reads."""
    torch.manual_seed(seed)
    (folder / "separator.json").write_text(
        json.dumps({"sample_rate": shape.sample_rate, "nfft": shape.nfft, "nhop": shape.nhop, "nb_channels": 2})
    )
    args = {"bandwidth": shape.bandwidth, "hidden_size": shape.hidden_size, "nb_layers": shape.nb_layers}
    for target in TARGETS:
        torch.save(shape.network().state_dict(), folder / f"{target}.pth")
        (folder / f"{target}.json").write_text(json.dumps({"args": args}))
    return folder


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refusal(folder, model="openunmix"):
    with pytest.raises(InputError) as caught:
        load_separator(model, folder, "cpu", threads=1)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "FOLDER")


def noise(frames, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


def test_unknown_model_and_device(tmp_path):
    with pytest.raises(ParameterError, match=r"^model: is unknown \(found 'spleeter', wanted openunmix or hdemucs\)$"):
        load_separator("spleeter", tmp_path)
    with pytest.raises(ParameterError, match=r"^model: is unknown"):
        weights_files("spleeter", tmp_path)
    with pytest.raises(
        ParameterError, match=r"^device: is unknown \(found 'gpu0', wanted auto, cpu, cuda or cuda:N\)$"
    ):
        load_separator("openunmix", tmp_path, "gpu0")


def test_every_model_of_the_table_has_its_module():
    for name in SEPARATORS:
        module, _, function = loader(name).partition(":")
        assert callable(getattr(importlib.import_module(module), function))
        assert callable(importlib.import_module(module).weights_files)


def test_a_model_is_one_module_and_one_row(tmp_path, monkeypatch):
    module = ModuleType("hearlab.separation.halves")
    module.weights_files = lambda weights: [weights]
    module.load = lambda weights, device, *, segment, overlap, threads: Separator(
        44100, ("loud", "soft"), lambda chunk: np.stack([0.75 * chunk, 0.25 * chunk]), Chunks.of_seconds(44100, segment)
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.WEIGHTS = ()
    monkeypatch.setitem(SEPARATORS, "halves", SeparationModel("Halves", 0.01))
    stems = load_separator("halves", tmp_path).separate_array(noise(1000), 44100)
    assert list(stems) == ["loud", "soft"]
    assert weights_files("halves", tmp_path) == [tmp_path]
    assert published_files(["halves"]) == []
    text = (REPOSITORY / "params.yaml").read_text().replace("model: openunmix", "model: halves")
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").separator_weights == PUBLISHED_WEIGHTS


def test_a_folder_without_weights_names_the_published_file_and_how_to_get_it(tmp_path):
    line = refusal(tmp_path)
    assert line.startswith("FOLDER/vocals-b62c91ce.pth: no such weights file; put it there; on a connected machine")
    assert "`hearlab weights fetch openunmix`" in line
    assert refusal(tmp_path / "absent").startswith("FOLDER/vocals-b62c91ce.pth: no such weights file")
    line = refusal(tmp_path, "hdemucs")
    assert line.startswith("FOLDER/hdemucs_high_musdbhq_only.pt: no such weights file")
    assert "`hearlab weights fetch hdemucs`" in line
    assert refusal(tmp_path / "mine.pt", "hdemucs") == "FOLDER: no such weights file (wanted a file of trained weights)"


def test_a_file_where_a_folder_belongs(tmp_path):
    path = tmp_path / "vocals.pth"
    path.touch()
    assert refusal(path).startswith("FOLDER: is a file (wanted a folder with a weights file for each of vocals")


def test_described_networks_of_any_shape_are_loaded(tmp_path):
    separator = load_separator("openunmix", save_described(tmp_path), "cpu", segment=0.1, overlap=0.02, threads=1)
    song = noise(12_000)
    stems = separator.separate_array(song, 44100)
    assert list(stems) == list(TARGETS)
    assert all(stem.shape == song.shape and np.any(stem) for stem in stems.values())
    spans = list(separator.separate(lambda start, stop: song[start:stop], song.shape[0]))
    assert len(spans) > 2


def test_the_published_path_is_the_magnitude_with_the_phase_of_the_mixture(tmp_path):
    # One bin of one target's network, checked by hand: |estimate| = relu(...) * |mixture|, phase of the mixture.
    separator = load_separator("openunmix", save_described(tmp_path), "cpu", threads=1)
    song = noise(20_000)
    stems = separator.separate_array(song, 44100)
    network = SHAPE.network().eval()
    network.load_state_dict(torch.load(tmp_path / "drums.pth", weights_only=True))

    window = torch.hann_window(512)
    spectra = torch.stft(torch.from_numpy(song.T.copy()), 512, 128, window=window, return_complex=True)
    with torch.inference_mode():
        magnitude = network(spectra.abs()[None])[0]
    drums = torch.istft(torch.polar(magnitude, spectra.angle()), 512, 128, window=window, length=20_000)
    # Single precision, and the angle by another function.
    assert np.abs(stems["drums"] - drums.numpy().T).max() < 1e-5


def test_both_the_folder_and_its_descriptions_decide_the_result(tmp_path):
    folder = save_described(tmp_path)
    names = [path.name for path in weights_files("openunmix", folder)]
    assert sorted(names) == sorted(["separator.json", *(f"{t}.{kind}" for t in TARGETS for kind in ("pth", "json"))])
    (folder / "bass.json").unlink()
    with pytest.raises(InputError, match=r"bass.json: no such file"):
        weights_files("openunmix", folder)
    (folder / "separator.json").unlink()
    assert [path.name for path in weights_files("openunmix", folder)] == [f"{target}.pth" for target in TARGETS]


def test_a_described_hash_is_checked(tmp_path):
    folder = save_described(tmp_path)
    digest = hashlib.sha256((folder / "other.pth").read_bytes()).hexdigest()
    edit(folder / "other.json", sha256=digest)
    load_separator("openunmix", folder, "cpu", threads=1)
    edit(folder / "other.json", sha256="0" * 64)
    assert refusal(folder).startswith(f"FOLDER/other.pth: sha256: is not the file it should be (found {digest}")
    edit(folder / "other.json", sha256=17)
    assert refusal(folder).startswith("FOLDER/other.json: sha256: is no hash (found 17")


@pytest.mark.parametrize(
    ("file", "values", "line"),
    [
        ("separator.json", {"nfft": None}, "FOLDER/separator.json: nfft: describes no network (wanted a positive"),
        ("separator.json", {"nhop": -1}, "FOLDER/separator.json: nhop: describes no network (found -1"),
        ("separator.json", {"sample_rate": "fast"}, "FOLDER/separator.json: sample_rate: describes no network"),
        ("separator.json", {"nb_channels": 1}, "FOLDER/separator.json: nb_channels: is not of stereo networks"),
        ("drums.json", {"args": 3}, "FOLDER/drums.json: args: describes no network (found 3"),
        ("drums.json", {"args": {"bandwidth": 1}}, "FOLDER/drums.json: hidden_size: describes no network"),
    ],
)
def test_bad_descriptions(tmp_path, file, values, line):
    folder = save_described(tmp_path)
    edit(folder / file, **values)
    assert refusal(folder).startswith(line)


def test_weights_of_another_shape_name_the_first_parameter(tmp_path):
    folder = save_described(tmp_path)
    args = json.loads((folder / "drums.json").read_text())["args"]
    edit(folder / "drums.json", args={**args, "hidden_size": 16})
    assert refusal(folder) == (
        "FOLDER/drums.pth: fc1.weight: is of another network (found shape (8, 186), wanted shape (16, 186))"
    )


def test_small_networks_are_no_umxhq(tmp_path):
    for target in TARGETS:
        save_named(tmp_path, target, SHAPE.network().state_dict())
    assert ": input_mean: is of another network (found shape (93,), wanted shape (1487,))" in refusal(tmp_path)


def test_several_files_of_one_target(tmp_path):
    folder = save_described(tmp_path)
    (folder / "bass-01234567.pth").touch()
    (folder / "bassoon.pth").touch()  # of something else
    assert refusal(folder) == (
        "FOLDER: bass: has several weights files of one target (found bass-01234567.pth, bass.pth)"
    )


def test_the_buffers_of_old_files_are_left_out(tmp_path):
    folder = save_described(tmp_path)
    state = SHAPE.network().state_dict()
    for name in OBSOLETE:
        state[name] = torch.ones(1)
    torch.save(state, folder / "vocals.pth")
    load_separator("openunmix", folder, "cpu", threads=1)
    torch.save({**state, "fc4.weight": torch.ones(1)}, folder / "vocals.pth")
    assert refusal(folder) == (
        "FOLDER/vocals.pth: fc4.weight: is of another network (found shape (1,), wanted no such parameter)"
    )


def test_hdemucs_takes_no_other_network(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "hdemucs_high_musdb_only.pt")
    line = refusal(tmp_path, "hdemucs")
    assert line == (
        "FOLDER/hdemucs_high_musdb_only.pt: freq_encoder.0.conv.weight: is of another network "
        "(found nothing, wanted shape (48, 4, 8, 1))"
    )
    assert weights_files("hdemucs", tmp_path) == [tmp_path / "hdemucs_high_musdb_only.pt"]


def test_the_same_bytes_whatever_torch_is_set_to(tmp_path):
    folder, song = save_described(tmp_path), noise(30_000)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            separator = load_separator("openunmix", folder, "cpu", threads=1)
            results.append(separator.separate_array(song, 44100))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(results[0][target], results[1][target]) for target in TARGETS)
