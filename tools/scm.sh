#!/bin/sh
# DVC wants a git repository that holds this folder, or to be told that there is none (an unpacked source archive).
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
LC_ALL=C
export LC_ALL
if top=$(git rev-parse --show-toplevel 2>&1) &&
    { [ -z "$(git rev-parse --show-prefix)" ] || git ls-files --error-unmatch dvc.yaml >/dev/null 2>&1; }; then
    # The folder has become a repository since, or part of one: use it again.
    if grep -q no_scm .dvc/config.local 2>/dev/null; then dvc config --local --unset core.no_scm; fi
    exit
fi
dvc config --quiet --local core.no_scm true
case $top in
/*)
    why="This folder lies in the git repository $top, which does not hold its files"
    how="git add . && git commit -m 'Add HearLab'"
    ;;
*"not a git repository (or any"*)
    why="This folder is no git repository"
    how="git init && git add . && git commit -m 'Start from a HearLab archive'"
    ;;
*"dubious ownership"* | *"unsafe repository"*)
    why="This folder's git repository belongs to another user, and git refuses it"
    how="git config --global --add safe.directory ${top##*safe.directory }"
    ;;
*)
    why="git cannot be used here (${top##*: })"
    how=
    ;;
esac
echo "$why: the pipeline runs, but experiments and comparisons"
echo "between revisions (dvc exp, dvc metrics diff) are missing, and results are not given their commit."
if [ -n "$how" ]; then
    echo "To have them, then run make demo again:"
    echo "    $how"
fi
echo
