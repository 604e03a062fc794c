#!/bin/sh
# DVC wants a git repository, or to be told that there is none (an unpacked source archive).
top=$(git rev-parse --show-toplevel 2>/dev/null)
if [ -n "$top" ] && [ "$(cd "$top" && pwd -P)" = "$(pwd -P)" ]; then
    # The folder has become a repository since: use it again.
    if grep -q no_scm .dvc/config.local 2>/dev/null; then dvc config --local --unset core.no_scm; fi
else
    dvc config --quiet --local core.no_scm true
    echo "This folder is no git repository: the pipeline runs, but experiments and comparisons between"
    echo "revisions (dvc exp, dvc metrics diff) are missing. To have them, then run make demo again:"
    echo "    git init && git add . && git commit -m 'Start from a HearLab archive'"
    echo
fi
