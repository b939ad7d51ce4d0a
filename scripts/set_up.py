"""Set up the environment in .venv; called by make through scripts/set_up.sh.

Runs on any Python from 3.9 on, with the standard library alone. The environment is ready
when `.venv/requirements.lock` equals `requirements.lock`; that copy is written last and
taken away first, so an environment without it was interrupted and is built anew.
"""

from __future__ import annotations

import fcntl
import filecmp
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
LOCK = Path("requirements.lock")
STAMP = VENV / LOCK.name

TOOLS = Path(".tools")
UV_VENV = TOOLS / "uv"
UV = UV_VENV / "bin" / "uv"
UV_LOCK = Path("scripts/tools.lock")
UV_STAMP = UV_VENV / UV_LOCK.name

LOG = TOOLS / "set-up.log"
MUTEX = TOOLS / "mutex"

GET_PYTHON = "pyenv install 3.12, uv python install 3.12 or a system package"


class SetUpError(Exception):
    """What went wrong and what to do, in one line."""


def main() -> int:
    """Set up under a lock, and say in one line how it went."""
    os.chdir(Path(__file__).resolve().parent.parent)
    began = time.monotonic()
    try:
        TOOLS.mkdir(exist_ok=True)
        with MUTEX.open("w") as mutex:
            wait_for(mutex.fileno())
            if not is_ready():
                set_up(mutex.fileno())
                say(f"ready after {time.monotonic() - began:.0f} s.")
    except SetUpError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"{error}. Is the disk full, or the folder not yours to write?")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next call of make builds the environment anew.")
        return 130
    return 0


def say(text: str) -> None:
    """Print a line about the set-up."""
    wipe = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{wipe}Set-up: {text}", file=sys.stderr, flush=True)


def wait_for(mutex: int) -> None:
    """Take the lock; it goes with the process and its children, however they end."""
    try:
        fcntl.flock(mutex, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another make is at it; waiting until it is done.")
        fcntl.flock(mutex, fcntl.LOCK_EX)


def is_ready() -> bool:
    """Whether the environment is whole and holds what the lock asks for."""
    return os.access(PYTHON, os.X_OK) and STAMP.exists() and filecmp.cmp(LOCK, STAMP, shallow=False)


def set_up(mutex: int) -> None:
    """Get uv, then make or update the environment with it."""
    LOG.write_text("")
    if not (UV_STAMP.exists() and filecmp.cmp(UV_LOCK, UV_STAMP, shallow=False)):
        say("getting uv, the installer.")
        UV_STAMP.unlink(missing_ok=True)
        run(mutex, "no environment for uv", sys.executable, "-m", "venv", "--clear", str(UV_VENV))
        pip = [str(UV_VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes"]
        pip += ["--no-input", "--only-binary", ":all:", "-r", str(UV_LOCK)]
        run(mutex, "uv could not be fetched from the package index", *pip)
        shutil.copyfile(UV_LOCK, UV_STAMP)

    whole = os.access(PYTHON, os.X_OK) and STAMP.exists()
    STAMP.unlink(missing_ok=True)
    if not whole:
        if VENV.exists():
            say("building the unfinished environment anew.")
        python = sys.executable
        if not (3, 12) <= sys.version_info < (3, 15):
            python = "3.12"
            say("looking for a Python 3.12, or fetching one.")
        make = [str(UV), "venv", "--clear", "--python", python, str(VENV)]
        run(mutex, f"no Python 3.12 to be had; get one ({GET_PYTHON})", *make)

    say("installing the packages of requirements.lock, about 500 MB the first time.")
    sync = [str(UV), "pip", "sync", "--python", str(PYTHON), "--require-hashes", "--no-build"]
    sync += ["--compile-bytecode", str(LOCK)]
    run(mutex, "the packages could not be installed", *sync, **pip_settings())
    shutil.copyfile(LOCK, STAMP.with_suffix(".new"))
    STAMP.with_suffix(".new").replace(STAMP)


def run(mutex: int, failure: str, *command: str, **environment: str) -> None:
    """Run a tool with its words in the log; on a terminal show its latest line."""
    line = ""
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        tool = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **environment},
            pass_fds=(mutex,),
        )
        try:
            assert tool.stdout is not None
            for line in tool.stdout:
                log.write(line)
                log.flush()
                if sys.stderr.isatty():
                    width = shutil.get_terminal_size().columns - 1
                    print(f"\r\033[K{line.strip()[:width]}", end="", file=sys.stderr, flush=True)
        finally:
            code = tool.wait()
    if code:
        raise SetUpError(f"{failure}. {cause()} The tool's own words are in {LOG}.")


NO_NETWORK = re.compile(
    r"dns error|lookup address|name resolution|not known|connection|error sending request"
    r"|unreachable|timed? ?out|client error \(connect\)",
    re.IGNORECASE,
)


def cause() -> str:
    """Guess why a tool failed, from the log."""
    words = LOG.read_text(errors="replace").rpartition("\n$ ")[2]
    if "No space left" in words:
        return "The disk is full."
    if NO_NETWORK.search(words):
        return "The network or the package index does not answer."
    if "hash mismatch" in words.lower() or "do not match the hashes" in words.lower():
        return "A package differs from its hash in the lock."
    if "no wheels" in words.lower() or "no usable wheels" in words.lower():
        return "A package has no wheel for this Python or machine; use Python 3.12."
    return ""


def pip_settings() -> dict[str, str]:
    """Name pip's own index and certificates for uv, which does not read pip's settings."""
    words = subprocess.run(
        [str(UV_VENV / "bin" / "python"), "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout
    settings = {}
    for pip_name, uv_name in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        found = dict(re.findall(rf"^(\S+)\.{pip_name}='(.+)'$", words, re.MULTILINE))
        value = found.get(":env:") or found.get("install") or found.get("global")
        if value and uv_name not in os.environ:
            settings[uv_name] = value
    return settings if "UV_INDEX_URL" not in os.environ else {}


if __name__ == "__main__":
    sys.exit(main())
