#!/usr/bin/python3 -B
"""Runs a program as a container engine would: in its own file tree, read-only, as nobody, without a capability.

    jail.py --root TREE --user 65532 --state DIRECTORY[=TARGET] --workdir /etc/switchyard [--file SOURCE=TARGET]… -- PROGRAM ARGUMENT…

The program takes this one's place, with its process id and its environment. Needs root and mount namespaces; where they are
missing it says so and ends with 125.
"""

import argparse
import ctypes
import os
import sys

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        code = ctypes.get_errno()
        sys.exit(f"jail.py: {what}: {os.strerror(code)}. This needs root with CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SETUID "
                 "and CAP_SETPCAP: run it as root, in a container as a privileged one.")


def _mount(source, target, kind=None, flags=0, data=None):
    arguments = [part.encode() if part is not None else None for part in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() if data else None), f"mounting {target}")


def _bind(source, target, read_only=False):
    _mount(source, target, flags=_MS_BIND | _MS_REC)
    if read_only:
        _mount(None, target, flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)


def _lay_out(root, state, files):
    """The tree as the program sees it; seen by it alone."""
    _check(_libc.unshare(_CLONE_NEWNS), "a mount namespace of its own")
    _mount(None, "/", flags=_MS_REC | _MS_PRIVATE)
    _bind(root, root)
    _mount("tmpfs", root + "/dev", "tmpfs", _MS_NOSUID, "mode=755,size=64k")
    for device in ("null", "zero", "random", "urandom"):
        with open(f"{root}/dev/{device}", "w", encoding="ascii"):
            pass
        _bind("/dev/" + device, f"{root}/dev/{device}")
    os.mkdir(root + "/dev/shm")
    for place in ("/dev/shm", "/tmp"):
        _mount("tmpfs", root + place, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=16m")
    _bind("/proc", root + "/proc", read_only=True)
    if state:
        source, _, target = state.partition("=")
        _bind(source, root + (target or "/var/lib/switchyard"))
    # An engine makes the places for what it mounts; here they are laid over the directory, which is empty.
    _mount("tmpfs", root + "/etc/switchyard", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")
    for source, target in files:
        if target.startswith("/etc/switchyard/"):
            os.makedirs(os.path.dirname(root + target), exist_ok=True)
            if os.path.isdir(source):
                os.makedirs(root + target, exist_ok=True)
            else:
                with open(root + target, "w", encoding="ascii"):
                    pass
        _bind(source, root + target, read_only=True)
    _mount(None, root + "/etc/switchyard", flags=_MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _mount(None, root, flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def _become(user):
    os.setgroups([])
    for capability in range(_LAST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() != 22:  # EINVAL: there is none
            _check(-1, "dropping capabilities")
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--state")
    parser.add_argument("--workdir", default="/")
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("jail.py: a file tree can be entered by root alone: run it as root.")
    root = os.path.realpath(given.root)
    _lay_out(root, given.state, [tuple(file.split("=", 1)) for file in given.file])
    try:
        os.chroot(root)
        os.chdir(given.workdir)
        _become(given.user)
    except OSError as error:
        sys.exit(f"jail.py: entering {root} as {given.user}: {error}")
    try:
        os.execvp(given.command[0], given.command)
    except OSError as error:
        print(f"jail.py: {given.command[0]}: {error}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
