"""``python -m src.v2.promote``: put a registered model to use, through the gate."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from src.v2.config import ENV_PREFIX, Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, run_command, show_note
from src.v2.errors import ConfigError

COMMAND = "python -m src.v2.promote"
SHORT_FLAGS = {
    "promote.version": "version",
    "promote.run": "run",
    "promote.reason": "reason",
    "promote.format": "format",
    "mlflow.tracking-uri": "tracking-uri",
}
ABOUT = """\
Make the challenger the champion, if the gate lets it through: evidence of skill, nothing
implausible, an audit passed, better than the champion on the same dates, a whole model folder.

  python -m src.v2.train --register            # a version, with the alias challenger
  python -m src.v2.promote --audit             # audit its settings where needed, then the gate
  python -m src.v2.promote --version 3 --force --reason "the champion's vendor is gone"
  python -m src.v2.promote --run RUN_ID        # register a finished run first
  python -m src.v2.promote --rollback          # the previous champion again
  python -m src.v2.promote --list --format csv

Exit code 3 when the gate says no; nothing changes then, except by --force.
"""
STDERR = 2
"""File descriptor of standard error."""

REFUSED = 3
"""Exit code when the gate says no."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when the version is in use, 3 when it is refused."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    _refuse_csv(config)
    with log_to(config.paths.logs_dir):
        from src.v2.lifecycle import promotion, promotion_text, registration
        from src.v2.tracking.registry import Registry

        wish = config.promote
        if wish.list:
            versions = Registry(config.mlflow).versions()
            sys.stdout.write(promotion_text.versions_text(versions, wish.format))
            if not versions:
                name = config.mlflow.registered_model_name
                show_note(f"nothing is registered as {name!r}. make train ARGS=--register does so.")
            return 0
        if wish.rollback:
            back = promotion.roll_back(config)
            sys.stdout.write(promotion_text.promotion_text(back, wish.format, config.mlflow))
            return 0
        if wish.run is not None:
            made = registration.register_run(config, wish.run)
            show_note(f"the run is version {made.version} of {made.name}, challenger.")
        if wish.audit:
            _audit_where_needed(config)
        done = promotion.promote(config)
        sys.stdout.write(promotion_text.promotion_text(done, wish.format, config.mlflow))
        return REFUSED if done.outcome == "refused" else 0


def _refuse_csv(config: Config) -> None:
    wish = config.promote
    if wish.format == "csv" and not wish.list:
        raise ConfigError("--format csv is for --list; the gate's answer is a table or json.")


def _audit_where_needed(config: Config) -> None:
    """Audit the settings of the version's own run in a process of its own, unless that was done.

    What the audit finds stands in its log, where the gate reads it.
    """
    from src.v2.lifecycle.audits import find_audit
    from src.v2.lifecycle.promotion import chosen_version
    from src.v2.tracking.downloads import download_files
    from src.v2.tracking.registry import Registry

    version = chosen_version(Registry(config.mlflow), config.promote)
    found = find_audit(config, version.tags)
    if found is not None and found.passed:
        return
    with tempfile.TemporaryDirectory() as scratch:
        (folder,) = download_files(config.mlflow, version.run_id, ("configs",), Path(scratch))
        settings = _audit_settings(config, folder / "effective_app_config.yaml")
        path = Path(scratch, "audit.yaml")
        path.write_text(settings, encoding="utf-8")
        # Its table is for the reader; a script that asked for JSON reads ours alone.
        ended = subprocess.run(
            [sys.executable, "-m", "src.v2.audit", "--config", str(path)],
            stdout=STDERR,
            # Variables would win over the settings of the run.
            env={key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)},
            check=False,
        )
    if ended.returncode not in (0, 3):
        show_note(f"the audit did not finish (exit code {ended.returncode}).")


def _audit_settings(config: Config, path: Path) -> str:
    """Give the run's own settings, with the folders and the store of this command."""
    import yaml

    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept = {name: tree[name] for name in tree if name not in ("config", "env", "variation")}
    here = config.model_dump(mode="json")
    for name in ("mlflow", "paths", "promote", "predict", "runs", "report", "fetch"):
        kept[name] = here[name]
    kept["promote"] = {}
    kept["mlflow"]["register_model"] = False
    return str(yaml.safe_dump(kept))


if __name__ == "__main__":
    sys.exit(main())
