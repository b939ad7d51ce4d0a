"""Which process a run belongs to, and whether that process still lives."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HOST, MACHINE, BOOT = "process_host", "process_machine", "process_boot"
SPACE, PID, START = "process_space", "process_id", "process_start"
ENDED_STATES = "ZX"
"""Of a process that is over, and whose parent has not asked how it ended."""

PROC = Path("/proc")
MACHINE_FILE = Path("/etc/machine-id")


def origin_tags() -> dict[str, str]:
    """Say who started the run, by which program and in which process."""
    tags = {"mlflow.source.name": sys.argv[0] or "python", "mlflow.source.type": "LOCAL"}
    tags |= process_tags()
    with contextlib.suppress(KeyError, OSError, ImportError):
        tags["mlflow.user"] = getpass.getuser()
    return tags


def process_tags() -> dict[str, str]:
    """Tell this process from every other one that ever ran, as tags of a run.

    Returns
    -------
    dict
        Host name, a hash of the machine's id, the boot's id, the name space of process ids, the
        process id and its start time, each where this system has one; empty where it does not
        tell when a process started.
    """
    found = _state_and_start(os.getpid())
    if found is None:
        return {}
    tags = {HOST: socket.gethostname(), PID: str(os.getpid()), START: found[1]}
    machine = _text(MACHINE_FILE)
    if machine:
        # The id itself is meant to stay on its machine.
        tags[MACHINE] = hashlib.sha256(f"omninmo {machine}".encode()).hexdigest()[:12]
    boot = _text(PROC / "sys/kernel/random/boot_id")
    if boot:
        tags[BOOT] = boot
    with contextlib.suppress(OSError):
        tags[SPACE] = os.readlink(PROC / "self/ns/pid")
    return tags


def is_gone(tags: Mapping[str, str], here: Mapping[str, str]) -> bool:
    """Tell whether the process that made a run has ended, for sure.

    Parameters
    ----------
    tags
        Of the run.
    here
        As `process_tags` gives it.

    Returns
    -------
    bool
        True on this host, where its boot is over or no process has its id and start time. False
        for everything that cannot be told: another host, another container, no tags.
    """
    pid, start = tags.get(PID, ""), tags.get(START)
    if not here or start is None or not (pid.isascii() and pid.isdecimal()):
        return False
    if any(tags.get(name) != here.get(name) for name in (HOST, MACHINE)):
        return False
    if tags.get(BOOT) != here.get(BOOT):
        return BOOT in tags and BOOT in here
    return tags.get(SPACE) == here.get(SPACE) and not _lives(int(pid), start)


def _lives(pid: int, start: str) -> bool:
    """Tell whether a process with this id and start time may still run."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    found = _state_and_start(pid)
    # What another user hides may be the process.
    return found is None or (found[1] == start and found[0] not in ENDED_STATES)


def _state_and_start(pid: int) -> tuple[str, str] | None:
    """Give the state and the start time of a process, in this system's own words."""
    if PROC.joinpath("self").exists():
        # The name, in brackets, may hold blanks and brackets; state is the 3rd field, start the
        # 22nd (proc_pid_stat(5)).
        fields = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
        return (fields[0], fields[19]) if len(fields) > 19 else None
    command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    plain = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env=plain, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    state, _, start = answer.stdout.strip().partition(" ")
    return (state[0], " ".join(start.split())) if state and start.strip() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
