"""What DVC itself costs at the size of the full data: `python benchmarks/dvc_at_size.py`.

Makes a tree like that of the rendered scenes (8,500 scenes of 14 files, 70 % of them in `train`), small files with
distinct contents, and times DVC's own commands on it; then the effect of one changed file, lost records, other links, a
folder per split and packed scenes; then a stage of HearLab under `dvc repro`. Results: docs/notes/dvc-at-size.md.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import machine

FILES_PER_SCENE = 14
TRAIN_SHARE = 6000 / 8500
LINKS = "hardlink,symlink"
OTHER_LINKS = ("reflink,hardlink,symlink,copy", "hardlink,reflink,symlink,copy", "copy")
SPLITS = ("train", "dev")
# For measurements by bytes instead of files.
BIG_FILES, BIG_BYTES = 64, 8 << 20
PACKAGES_BYTES = 240 * 10**9
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass
class Bench:
    """A folder with repositories in it, and what was measured there.

    Attributes:
        folder: on the disk that is to be measured.
        rows: name, seconds by the clock, seconds of processor, remark.
    """

    folder: Path
    rows: list[tuple[str, float, float, str]] = field(default_factory=list)

    def repository(self, name: str, links: str = LINKS) -> Path:
        """A new git and DVC repository with the settings of HearLab."""
        root = self.folder / name
        root.mkdir()
        self.run(root, "git", "init", "--quiet")
        self.run(root, "dvc", "init", "--quiet")
        for setting in (("core.analytics", "false"), ("core.check_update", "false"), ("cache.type", links)):
            self.run(root, "dvc", "config", *setting)
        return root

    def run(self, root: Path, *command: str, notes: str = "notes") -> str:
        """Run a command and return what it printed; DVC's records (state, indexes) are in the folder `notes`."""
        environment = {**os.environ, "DVC_SITE_CACHE_DIR": str(self.folder / notes), "HEARLAB_WORKERS": "1"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def time(self, name: str, root: Path, *command: str, notes: str = "notes", remark: str = "") -> float:
        """Run a command and note how long it takes."""
        started, before = time.perf_counter(), _children()
        self.run(root, *command, notes=notes)
        self.note(name, time.perf_counter() - started, _children() - before, remark)
        return self.rows[-1][1]

    def note(self, name: str, clock: float, processor: float, remark: str = "") -> None:
        self.rows.append((name, clock, processor, remark))
        print(f"{name:64}{clock:9.1f}{processor:9.1f}  {remark}", flush=True)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fill(path: Path, name: str, size: int) -> None:
    """Bytes that no other file has."""
    path.write_bytes((f"{name} ".encode() * (size // (len(name) + 1) + 1))[:size])


def make_tree(root: Path, scenes: int, size: int) -> None:
    """The files of `scenes` scenes, divided among the splits as in the challenge."""
    train = round(scenes * TRAIN_SHARE)
    for split, numbers in zip(SPLITS, (range(train), range(train, scenes)), strict=True):
        folder = root / split
        folder.mkdir(parents=True)
        for number in numbers:
            for k in range(FILES_PER_SCENE):
                fill(folder / f"S{number:05d}_{k}.wav", f"S{number:05d} {k}", size)


def change(path: Path, size: int) -> None:
    """A new file in the place of the old one, which may be a link into the cache."""
    path.unlink()
    fill(path, f"changed {time.time_ns()}", size)


def touch(folder: Path) -> None:
    for path in folder.rglob("*.wav"):
        os.utime(path)


def measure_tree(bench: Bench, scenes: int, size: int) -> None:
    """The life of one folder."""
    root, files = bench.repository("tree"), scenes * FILES_PER_SCENE
    started, before = time.perf_counter(), time.process_time()
    make_tree(root / "rendered", scenes, size)
    bench.note(f"write {files} files", time.perf_counter() - started, time.process_time() - before)
    bench.time("dvc add", root, "dvc", "add", "rendered")
    [listing] = (root / ".dvc/cache/files/md5").glob("??/*.dir")
    bench.run(root, "git", "add", "--all")
    bench.run(root, "git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message", "x")
    bench.note(f"the .dir object: {listing.stat().st_size / 1e6:.1f} MB", 0, 0)
    bench.time("dvc status, nothing changed", root, "dvc", "status")
    touch(root / "rendered")
    bench.time("dvc status, every file touched", root, "dvc", "status", remark="read again")
    bench.time("dvc status, notes (site_cache_dir) lost", root, "dvc", "status", notes="lost", remark="read again")
    shutil.rmtree(root / "rendered")
    bench.time("dvc checkout into nothing", root, "dvc", "checkout")
    store = bench.folder / "store"
    bench.run(root, "dvc", "remote", "add", "--default", "lab", str(store))
    bench.time("dvc push, all", root, "dvc", "push")
    bench.time("dvc push, nothing new", root, "dvc", "push")
    bench.time("dvc status --cloud", root, "dvc", "status", "--cloud")
    bench.time("dvc status --cloud, notes lost", root, "dvc", "status", "--cloud", notes="lost2")
    change(root / "rendered/dev" / f"S{scenes - 1:05d}_0.wav", size)
    bench.time("dvc status, one file changed", root, "dvc", "status")
    bench.time("dvc commit, one file changed", root, "dvc", "commit", "--force")
    bench.time("dvc push, one file changed", root, "dvc", "push")
    bench.run(root, "git", "commit", "--all", "--quiet", "--message", "y")
    clone = bench.folder / "clone"
    bench.run(bench.folder, "git", "clone", "--quiet", str(root), str(clone))
    bench.time("clone: dvc pull, all", clone, "dvc", "pull")
    bench.time("clone: dvc pull, nothing new", clone, "dvc", "pull")
    bench.time("dvc gc --workspace", root, "dvc", "gc", "--workspace", "--force")


def measure_splits(bench: Bench, scenes: int, size: int) -> None:
    """The same files as one output for each split: what a change in one of them costs."""
    root = bench.repository("splits")
    make_tree(root / "rendered", scenes, size)
    bench.time("a folder per split: dvc add", root, "dvc", "add", "rendered/train", "rendered/dev")
    change(root / "rendered/dev" / f"S{scenes - 1:05d}_0.wav", size)
    bench.time("a folder per split: dvc status, one file changed", root, "dvc", "status")
    bench.time("a folder per split: dvc commit, that split", root, "dvc", "commit", "--force", "rendered/dev.dvc")
    shutil.rmtree(root)


def measure_packed(bench: Bench, scenes: int, size: int) -> None:
    """The same files with each scene in one archive."""
    root, plain = bench.repository("packed"), bench.folder / "plain"
    make_tree(plain, scenes, size)
    for split in SPLITS:
        (root / "rendered" / split).mkdir(parents=True)
        scene_files: dict[str, list[Path]] = {}
        for path in sorted((plain / split).iterdir()):
            scene_files.setdefault(path.name.split("_")[0], []).append(path)
        for scene, paths in scene_files.items():
            with tarfile.open(root / "rendered" / split / f"{scene}.tar", "w") as archive:
                for path in paths:
                    archive.add(path, path.name)
    shutil.rmtree(plain)
    bench.time("a scene per archive: dvc add", root, "dvc", "add", "rendered")
    bench.run(root, "dvc", "remote", "add", "--default", "lab", str(bench.folder / "packed-store"))
    bench.time("a scene per archive: dvc push, all", root, "dvc", "push")
    shutil.rmtree(root)


def measure_links(bench: Bench, size: int) -> None:
    """Measurements by bytes: data that no unit made, as those of the stage `prepare`, and that stage run again."""
    for links in (LINKS, *OTHER_LINKS):
        root = bench.repository(f"links-{links.replace(',', '-')}", links)
        (root / "raw").mkdir()
        for k in range(BIG_FILES):
            fill(root / "raw" / f"{k}.bin", f"{links} {k}", size)
        (root / "dvc.yaml").write_text(
            "stages:\n  prepare:\n    cmd: test -d raw\n    outs:\n      - raw:\n          persist: true\n"
        )
        os.sync()
        before = _used(root)
        for run, force in (("first", ()), ("again", ("--force",))):
            name = f"cache.type {links}: prepare, {run}"
            bench.time(f"{name}: {BIG_FILES * size / 1e6:.0f} MB", root, "dvc", "repro", *force)
            os.sync()
            further = (_used(root) - before) / (BIG_FILES * size)
            bench.note(f"{name}: further bytes", 0, 0, f"{further:+.2f} times the data")
        shutil.rmtree(root)


def _used(folder: Path, outside: Path | None = None) -> int:
    """Bytes below a folder, each inode once, without those that are `outside` too."""
    sizes = {}
    for top in (folder, *([outside] if outside else ())):
        for base, _, names in os.walk(top):
            for name in names:
                status = os.lstat(Path(base, name))
                sizes[status.st_ino] = 0 if top == outside else status.st_size
    return sum(sizes.values())


def render(root: Path, out: Path, *, scene: str, size: int) -> None:
    """A unit like those of the stage `render_scenes`, without its work."""
    for k in range(FILES_PER_SCENE):
        fill(out / f"{scene}_{k}.wav", f"{scene} {k}", size)


def run_units(scenes: int, size: int) -> None:
    """What the measured stage calls: HearLab's engine in the current folder."""
    from hearlab.compute.engine import run
    from hearlab.compute.units import Unit

    units = [
        Unit(
            scene,
            render,
            {"scene": scene, "size": size},
            outputs=tuple(f"{scene}_{k}.wav" for k in range(FILES_PER_SCENE)),
        )
        for scene in (f"S{number:05d}" for number in range(scenes))
    ]
    started = time.perf_counter()
    run("render_scenes dev", units, Path("rendered"), Path("units.json"))
    Path("seconds").write_text(f"{time.perf_counter() - started:.3f}")


def measure_stage(bench: Bench, scenes: int, size: int) -> None:
    """A stage of HearLab: what DVC adds before and after it."""
    root = bench.repository("stage")
    script = Path(__file__).resolve()
    (root / ".gitignore").write_text("/.hearlab/\n/seconds\n")
    (root / "dvc.yaml").write_text(
        "stages:\n  render_scenes:\n"
        f"    cmd: '{sys.executable} {script} --units {scenes} --size {size}'\n"
        "    outs:\n      - rendered\n      - units.json:\n          persist: true\n"
    )
    for name, force in (("first", ()), ("again, every unit done before", ("--force",))):
        whole = bench.time(f"stage of {scenes} scenes, {name}: dvc repro", root, "dvc", "repro", *force)
        own = float((root / "seconds").read_text())
        bench.note(f"stage of {scenes} scenes, {name}: of it DVC", whole - own, 0)
    bench.time("stage: dvc repro, nothing to do", root, "dvc", "repro")
    shutil.rmtree(root)


def measure_prepare(bench: Bench, scenes: int, size: int) -> None:
    """Stage prepare of HearLab with packages of 240 GB in its home: files without blocks, of invented md5.

    So nothing can have been read: it would take minutes, and give other md5.
    """
    from hearlab.datasets.packages.receipt import FileLine, Receipt, write_receipt

    root, home = bench.repository("prepare"), bench.folder / "hearlab-packages/clarity"
    for name in ("src", "datasets", "listeners", "params.yaml", "dvc.yaml", ".gitignore", ".dvcignore"):
        (shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy)(REPOSITORY / name, root / name)
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("dataset: demo", "dataset: clarity", 1))
    make_tree(home / "clarity_data/raw", scenes, 0)
    for split in SPLITS:
        (home / "clarity_data" / split).mkdir()
        (home / "clarity_data/raw" / split).rename(home / "clarity_data" / split / "scenes")
    for name in ("listeners.json", "hrir_data.json", "scenes_listeners.dev.json"):
        (home / "clarity_data/metadata").mkdir(exist_ok=True)
        (home / "clarity_data/metadata" / name).touch()
    for name in ("hrir/A.mat",):
        (home / "clarity_data" / name).parent.mkdir(exist_ok=True)
        (home / "clarity_data" / name).touch()
    lines = {}
    for path in filter(Path.is_file, (home / "clarity_data").rglob("*")):
        os.truncate(path, size)
        name = path.relative_to(home / "clarity_data").as_posix()
        lines[name] = FileLine(name, size, hashlib.md5(name.encode()).hexdigest())
    write_receipt(home / "packages/receipts/cec2-core.jsonl", Receipt("cec2-core", "x.tgz", 1, None, lines))
    about = f"prepare, {len(lines)} files, {len(lines) * size / 1e9:.0f} GB"
    bench.run(root, "hearlab", "--version")  # compiles the source
    before = _used(root)
    for name, command in (("first", ()), ("again", ("--force", "--single-item")), ("nothing to do", ())):
        bench.time(f"{about}: dvc repro, {name}", root, "dvc", "repro", *command, "prepare")
        bench.note(f"{about}: written, {name}", 0, 0, f"{(_used(root, outside=home) - before) / 1e6:+.0f} MB")
    shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120_000, help="files in the tree (default: 120000)")
    parser.add_argument("--size", type=int, default=200, help="bytes of a file (default: 200)")
    parser.add_argument("--stage-scenes", type=int, default=2500, help="scenes of the measured stage (default: 2500)")
    parser.add_argument("--big", type=int, default=BIG_BYTES, help="bytes of the files that are measured by bytes")
    parser.add_argument(
        "--only", nargs="*", choices=("tree", "splits", "packed", "links", "stage", "prepare"), help="parts"
    )
    parser.add_argument("--folder", type=Path, help="where to work (default: TMPDIR); it should be on a disk")
    parser.add_argument("--output", type=Path, help="write the results as JSON")
    parser.add_argument("--units", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.units is not None:
        run_units(options.units, options.size)
        return
    scenes = max(2, round(options.files / FILES_PER_SCENE))
    parts = {
        "tree": lambda bench: measure_tree(bench, scenes, options.size),
        "splits": lambda bench: measure_splits(bench, scenes, options.size),
        "packed": lambda bench: measure_packed(bench, scenes, options.size),
        "links": lambda bench: measure_links(bench, options.big),
        "stage": lambda bench: measure_stage(bench, options.stage_scenes, options.size),
        "prepare": lambda bench: measure_prepare(bench, scenes, PACKAGES_BYTES // options.files),
    }
    about = {**machine.machine(), "dvc": importlib.metadata.version("dvc")}
    print(f"{json.dumps(about)}\n{'':64}{'clock, s':>9}{'CPU, s':>9}")
    rows = []
    for name in options.only or parts:
        with tempfile.TemporaryDirectory(prefix="hearlab-dvc-", dir=options.folder) as folder:
            bench = Bench(Path(folder))
            parts[name](bench)
            rows += [
                {"part": name, **dict(zip(("name", "clock", "cpu", "remark"), row, strict=True))} for row in bench.rows
            ]
    print(f"load at the end: {machine.load()}")
    if options.output:
        options.output.write_text(json.dumps({"machine": about, "files": options.files, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
