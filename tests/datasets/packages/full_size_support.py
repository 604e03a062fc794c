"""A small project on its way to the full data: packages in small, which hold the demo world, and a clone for them."""

from __future__ import annotations

from pathlib import Path

from package_miniatures import pack_miniatures
from ruamel.yaml import YAML

from file_server import Site, serving
from pipeline_support import run

CORE = "cec2-core"
CLARITY = ("dvc", "exp", "run", "-S", "dataset=clarity")  # as the guide says
DEMO_SCENES = 2  # of the published split `demo`: dev rooms and recordings, rooms drawn at random


def pack(demo: Path, out: Path) -> Path:
    """The small packages in a folder; core and train hold rendered scenes and their lists, as the real ones do."""
    data = demo / "data" / "demo"
    rendered = {split: data / "rendered" / split for split in ("train", "dev")}
    roots = (data / "inputs" / name for name in ("clarity_data", "cadenza_data"))
    pack_miniatures(out, *roots, scenes=rendered, lists=data / "scene_lists")
    return out


def clarity_project(demo: Path, folder: Path, *, results: bool = True) -> Path:
    """A clone whose data set `clarity` is as large as the demo; nothing of it is there yet, but the demo's results."""
    run(folder, "git", "clone", "--quiet", str(demo), "clone")
    clone = folder / "clone"
    run(clone, "dvc", "config", "--local", "cache.type", "hardlink,symlink")  # as the guide says
    if results:
        run(clone, "dvc", "remote", "add", "--local", "demo", str(demo / ".dvc" / "cache"))
        run(clone, "dvc", "pull", "--remote", "demo")
    yaml = YAML()
    params = yaml.load((clone / "params.yaml").read_text())
    small, clarity = params["datasets"]["demo"], params["datasets"]["clarity"]
    for name in ("seed_offset", "heads", "pre_samples_range", "post_samples_range", "additional"):
        clarity[name] = small[name]
    for split in ("train", "dev"):
        clarity["splits"][split] = small["splits"][split]
    clarity["splits"]["demo"].update(rooms=3, scenes=DEMO_SCENES)
    params["separate"]["weights"] = "trained"  # the demo's; the published ones are not here
    with (clone / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    run(clone, "git", "commit", "--quiet", "--all", "--message", "The packages in small")
    return clone


def get(clone: Path, packages: Path, *names: str) -> None:
    """Fetch packages from a server on loopback, unpack and check them, by the commands that the guide names."""
    table = ("--catalogue", str(packages / "packages.toml"))
    files = {f"/{path.name}": path.read_bytes() for path in packages.iterdir()}
    with serving(Site(files, content_type="application/octet-stream")) as site:
        for name in names:
            assert "checksum as published" in run(clone, "hearlab", "data", "fetch", name, f"{site.address}/", *table)
    run(clone, "hearlab", "data", "unpack", *names, *table)
    assert run(clone, "hearlab", "data", "check", "--deep", *names, *table).count(": complete") == len(names)
