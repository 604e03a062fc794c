"""Whether the demo's results are the committed ones, byte by byte; names the first stage and file that are not.

python tools/same_demo.py           after `dvc repro`: exit code 1 if anything differs
python tools/same_demo.py --write   after a change that is meant to change results: write tools/demo_files.txt anew
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
LIST = Path("tools") / "demo_files.txt"
AVERAGES = ("metrics/speech.json", "metrics/music.json")
# What differs in every run, or holds hashes of the code: another commit has others, with the same results.
LEFT_OUT = ("data/demo/units/", "data/demo/tracked.json")


def outputs(lock: dict[str, Any], order: list[str], cache: Path) -> list[tuple[str, str, str]]:
    """Stage, path and md5 of each file that the pipeline made, in the order in which stages run."""
    stages = lock["stages"]
    files = []
    for stage in sorted(stages, key=lambda name: order.index(name.partition("@")[0])):
        for out in stages[stage].get("outs", []):
            path, md5 = out["path"], out["md5"]
            if path.startswith(LEFT_OUT):
                continue
            if md5.endswith(".dir"):
                listing = json.loads((cache / md5[:2] / md5[2:]).read_text(encoding="utf-8"))
                files += [(stage, f"{path}/{entry['relpath']}", entry["md5"]) for entry in listing]
            else:
                files.append((stage, path, md5))
    return files


def main(arguments: list[str]) -> int:
    """Compare, or write the list."""
    yaml = YAML(typ="safe", pure=True)
    order = list(yaml.load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    lock = yaml.load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    cache = subprocess.run(["dvc", "cache", "dir"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    found = outputs(lock, order, ROOT / cache / "files" / "md5")
    lines = [f"{md5}  {stage}  {path}" for stage, path, md5 in found]
    if arguments == ["--write"]:
        (ROOT / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return 0
    if arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    committed = (ROOT / LIST).read_text(encoding="utf-8").splitlines()
    differing = sorted(set(lines) ^ set(committed), key=lambda line: _place(line, order))
    if differing:
        _, stage, path = differing[0].split("  ", 2)
        count = len({line.split("  ", 1)[1] for line in differing})
        sys.stdout.write(
            f"{count} of the demo's {len(committed)} files are not the committed ones ({LIST}). The first one: stage "
            f"{stage}, file {path}. See docs/notes/same-bytes.md.\n"
        )
    changed = subprocess.run(
        ["git", "diff", "--stat", "HEAD", "--", "dvc.lock", *AVERAGES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if changed:
        sys.stdout.write(f"Not as committed:\n{changed}")
    if not differing and not changed:
        sys.stdout.write(f"All {len(found)} files of the demo, dvc.lock and the averages are the committed ones.\n")
    return 1 if differing or changed else 0


def _place(line: str, order: list[str]) -> tuple[int, str]:
    _, stage, path = line.split("  ", 2)
    return order.index(stage.partition("@")[0]), path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
