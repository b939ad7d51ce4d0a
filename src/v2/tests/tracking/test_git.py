from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from src.v2.tracking.git import git_tags


def git(folder: Path, *words: str) -> None:
    named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


def test_the_tags_name_commit_branch_and_changes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-b", "trunk")
    assert git_tags(tmp_path) == {}
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "untracked.txt").write_text("b")
    tags = git_tags(tmp_path)
    assert len(tags["git_commit"]) == 40
    assert tags["mlflow.source.git.commit"] == tags["git_commit"]
    assert tags["git_branch"] == tags["mlflow.source.git.branch"] == "trunk"
    assert tags["git_dirty"] == "false"
    (tmp_path / "a.txt").write_text("changed")
    assert git_tags(tmp_path)["git_dirty"] == "true"


def test_without_a_repository_or_git_there_are_no_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_tags(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert git_tags(tmp_path) == {}
