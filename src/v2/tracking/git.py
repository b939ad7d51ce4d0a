"""Which version of the code a run was made by."""

from __future__ import annotations

import subprocess
from pathlib import Path

_TIMEOUT_SEC = 5


def git_tags(root: Path) -> dict[str, str]:
    """Read the commit, the branch and whether tracked files differ from the commit.

    Parameters
    ----------
    root
        A folder of the repository.

    Returns
    -------
    dict
        ``git_commit``, ``git_branch``, ``git_dirty`` and the first two under MLflow's own
        names. Empty without git, outside a repository, or before its first commit.
    """
    commit = _ask(root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return {}
    branch = _ask(root, "rev-parse", "--abbrev-ref", "HEAD") or ""
    changes = _ask(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    tags = {
        "git_commit": commit,
        "git_branch": branch,
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": branch,
    }
    if changes is not None:
        tags["git_dirty"] = "true" if changes else "false"
    return {name: value for name, value in tags.items() if value}


def _ask(root: Path, *words: str) -> str | None:
    """Give git's answer; None when it has none."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SEC,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
