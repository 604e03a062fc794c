"""Started as a script in new Linux namespaces, by confinement.py where there is no bwrap.

    launcher.py ROOT WRITABLE PLACE READABLE... -- COMMAND...

It makes a root folder of nothing but these in the empty folder ROOT, gives up all rights over it, and runs COMMAND in
PLACE. It imports nothing of HearLab, so that it can start alone.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE = 0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000
SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000  # mount_setattr has one number on all machines
DROP_BOUND, NO_NEW_PRIVILEGES, LAST_CAPABILITY = 24, 38, 63
SET_FLAGS, UP, LOOPBACK = 0x8914, 0x1, b"lo"
OF_THE_MACHINE = ("sys", "sysrq-trigger", "irq", "bus")  # the machine's own root could write there without any right
DEVICES = ("null", "zero", "full", "random", "urandom")

libc = ctypes.CDLL(None, use_errno=True)


def call(result: int, what: str) -> None:
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
    call(libc.mount(*names, ctypes.c_ulong(flags), None), f"mount {target}")


def read_only(path: str) -> None:
    """The mount and all below it."""
    attributes = struct.pack("4Q", READ_ONLY | NO_SUID, 0, 0, 0)
    call(
        libc.syscall(SETATTR, AT_FDCWD, os.fsencode(path), AT_RECURSIVE, attributes, len(attributes)), f"protect {path}"
    )


def show(path: str, root: str) -> None:
    """Bind a folder or a file below the new root, or make the same link there."""
    target = root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT, 0o600))
    mount(path, target, flags=BIND | RECURSIVE)


def build(root: str, writable: str, readable: list[str]) -> None:
    mount("tmpfs", root, "tmpfs", NO_SUID | NO_DEVICES)
    for name in ("/proc", "/dev/shm", "/tmp"):
        os.makedirs(root + name)
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEVICES)
    for name in filter(os.path.exists, (f"{root}/proc/{name}" for name in OF_THE_MACHINE)):
        mount(name, name, flags=BIND)
        read_only(name)
    mount("tmpfs", f"{root}/tmp", "tmpfs", NO_SUID | NO_DEVICES)
    mount("tmpfs", f"{root}/dev/shm", "tmpfs", NO_SUID | NO_DEVICES)
    for name in DEVICES:
        show(f"/dev/{name}", root)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for path in readable:
        show(path, root)
        if not os.path.islink(path):
            read_only(root + path)
    show(writable, root)
    mount("tmpfs", root, flags=REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEVICES)


def main(root: str, writable: str, place: str, *rest: str) -> int:
    end = rest.index("--")
    build(root, writable, list(rest[:end]))
    with socket.socket() as any_socket:  # programs that talk to themselves need 127.0.0.1
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", LOOPBACK, UP))
    os.chroot(root)
    os.chdir(place)
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(DROP_BOUND, capability, 0, 0, 0)  # fails for those that this kernel does not know
    call(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    child = os.posix_spawnp(rest[end + 1], rest[end + 1 :], os.environ)
    while True:  # the first process of its namespace: all that lose their parent are its children
        done, status = os.wait()
        if done == child:
            return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
