"""`hearlab serve`: the listening site on this machine, made again when results change; `hearlab blind`: its answers."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import NoReturn

from hearlab.commands import Commands

PORT = 8017
SITE_FOLDER = Path("report")  # that of hearlab report, whose pages find the sounds beside it


def add(commands: Commands) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser(
        "serve",
        help="the site on this machine: made again when results change; collects the answers of blind tests",
        description="Serves the listening site on this machine, makes it again when results change, and collects the "
        "answers of its blind tests in blind/answers.csv. Ctrl-C ends it.",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0: a free one")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="an address of this machine at which others reach it, who can then hear all sounds and answer "
        "(default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument("--against", metavar="B", help="as of hearlab report")
    parser.add_argument("--scenes", type=int, metavar="N", help="as of hearlab report")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.set_defaults(run=_serve)
    blind = commands.add_parser(
        "blind",
        help="what the blind tests say: preferences with their intervals",
        description="The answers that hearlab serve has collected: for each two versions the share of answers that "
        "prefer one, with its 95 % interval over listeners.",
    )
    blind.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: blind/answers.csv")
    blind.set_defaults(run=_blind)


def _serve(options: argparse.Namespace) -> int:
    from hearlab.errors import InputError
    from hearlab.report.serve.rebuild import Rebuilder
    from hearlab.report.serve.server import EVERYWHERE, LOCAL, Server

    if not 0 <= options.port <= 65535:
        raise InputError("--port", "is no port", found=options.port, wanted="0 to 65535")
    root = Path.cwd()
    arguments = ["--out", str(SITE_FOLDER)]
    if options.against is not None:
        arguments.append(f"--against={options.against}")  # it may begin with a dash
    if options.scenes is not None:
        arguments += ["--scenes", str(options.scenes)]
    rebuilder = Rebuilder(root, arguments, _say)
    # The port is taken before the site is made: a taken one is known at once.
    server = Server(root, root / SITE_FOLDER, options.host, options.port, _say)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if not rebuilder.build():
            return 1
        rebuilder.start()
        if options.host not in LOCAL:
            place = "this machine" if options.host in ("", *EVERYWHERE) else options.host
            _say(f"everybody who reaches {place} can hear all sounds of this workspace, and answer its blind tests")
        here, *elsewhere = server.addresses
        for address in elsewhere:
            print(f"{address} from other machines", flush=True)
        print(f"{here} (Ctrl-C ends it)", flush=True)
        if options.open:
            # Some browsers, such as those of a terminal, end before this goes on, and wait for the page until then.
            threading.Thread(target=_open, args=(here,), daemon=True).start()
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        _say("hearlab: stopped serving")
    finally:
        signal.signal(signal.SIGTERM, before)
        rebuilder.end()
        server.server_close()
    return 0


def _blind(options: argparse.Namespace) -> None:
    from hearlab.report.serve.answers import ANSWERS, preferences, read, text_of

    print(text_of(preferences(read(options.file or ANSWERS))))


def _open(address: str) -> None:
    if not webbrowser.open(address):
        _say("no browser was found: open that address yourself")


def _interrupt(*unused: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
