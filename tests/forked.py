"""Fresh processes that have imported already what they need: each is forked from one that has done nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import json, os, sys, traceback
{imports}
for line in sys.stdin:
    folder, code, environment = json.loads(line)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        try:
            os.chdir(folder)
            os.environ.update(environment)
            exec(code, {{"__name__": "__main__"}})
            status = 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    print(json.dumps([os.waitpid(child, 0)[1], text]), flush=True)
"""


class Forks:
    """Runs programs, one process for each."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def run(self, folder: Path, code: str, **environment: str) -> str:
        """What a program prints in a process of its own, in that folder and with these variables besides."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps([str(folder), code, environment]), file=self._server.stdin, flush=True)
        status, text = json.loads(self._server.stdout.readline())
        assert status == 0, text
        return str(text)


@contextmanager
def forks(imports: str, *before: str) -> Iterator[Forks]:
    """Processes that begin after these imports, where `python -c` would begin them; `before`: what starts Python."""
    command = [*before, sys.executable, "-c", SERVER.format(imports=imports)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Forks(server)


# What `dvc add`, `init`, `repro` and `exp run` import.
DVC = "import dvc.cli.parser, dvc.repo.experiments.run, dvc.repo.reproduce, dvc_data.index"
DVC_COMMAND = """
import sys
from dvc.cli import main
sys.argv = ["dvc", *{arguments}]
assert main({arguments}) == 0
"""


def dvc(processes: Forks, folder: Path, *arguments: str, **environment: str) -> str:
    """A command of DVC in one of the processes that have imported `DVC`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # its stages take this Python
    return processes.run(folder, DVC_COMMAND.format(arguments=list(arguments)), PATH=path, **environment)
