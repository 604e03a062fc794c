"""Whether scores belong to the params.yaml beside them: after a run of some stages, or an edit, they need not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hearlab.files import parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.scoring.tracks import TRACKS
from hearlab.versions.lock import Lock, deps, outs, stages_behind
from hearlab.versions.revisions import Files

# Of a system of one's own: it may have defaults that HearLab does not know. Of all others an absent one is the default.
OPEN_SECTION = "enhance.params."


def outdated(files: Files) -> dict[str, str]:
    """The tracks whose scores are not of the parameters beside them, by name, with the reason.

    `dvc exp run -S dataset=mine score_speech` leaves the songs' scores of before, and so does every edit of params.yaml
    until the next run. dvc.lock tells: it notes the parameters of each stage. Where it says nothing of a track, such as
    in a folder of score tables, nothing is known against its scores.

    Raises:
        InputError: params.yaml is no YAML.
    """
    content = files.read(PARAMS_FILE)
    if content is None:
        return {}
    params = flat(parse_yaml(content))
    reasons = {
        name: why_other(files.lock, stages_behind(files.lock, track.scoring_stage), params)
        for name, track in TRACKS.items()
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


def why_other(lock: Lock, behind: Sequence[str], params: Mapping[str, Any]) -> str | None:
    """Why scores are not those of these parameters; None if they are, as far as dvc.lock tells.

    Args:
        lock: the stages of dvc.lock.
        behind: those behind the scores, as `stages_behind` gives them.
        params: all of params.yaml, flat.
    """
    for stage in behind:
        for section, content in ((lock[stage].get("params") or {}).get(PARAMS_FILE) or {}).items():
            noted = flat(content, str(section))
            added = [name for name in params if name.startswith(f"{section}.") and name.startswith(OPEN_SECTION)]
            for name in (*noted, *added):
                if name not in noted or name not in params or noted[name] != params[name]:
                    was, now = _text(noted.get(name)), _text(params.get(name))
                    return f"made with {name} {was}, {PARAMS_FILE} says {now}"
    made = {path: identity for stage in behind for path, identity in outs(lock[stage]).items()}
    for stage in behind:
        for path, identity in deps(lock[stage]).items():
            if path in made and made[path] != identity:
                return f"made with another {path} than the present one"
    return None


def _text(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:40]
