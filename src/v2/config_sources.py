"""How a configuration is put together for one command.

Sources, weakest first: the defaults of `src.v2.config`, ``config.yaml``, its
``profiles.<env>`` section, the file named by ``--variation``, environment variables
``OMNINMO_SECTION__KEY``, command-line flags. Unknown keys are refused.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from src.v2.config import ENV_PREFIX, Config, setting_paths
from src.v2.config_flags import SHORT_FLAGS, SWITCHES, long_flags, normalise_argv
from src.v2.config_help import help_formatter
from src.v2.errors import ConfigError

LONGEST_SHOWN = 80


def load_config(
    argv: Sequence[str] = (),
    short_flags: Mapping[str, str] = SHORT_FLAGS,
    command: str = "python -m src.v2.train",
    about: str = "",
    environ: Mapping[str, str] | None = None,
    overlay: Mapping[str, Any] | None = None,
    *,
    files: bool = True,
) -> Config:
    """Put the configuration together for one command.

    Parameters
    ----------
    argv
        Command-line words after the command's name.
    short_flags
        Short flags by the long flag that each stands for.
    command, about
        Shown by ``--help``.
    environ
        Read instead of the process's environment variables.
    overlay
        Settings that win over the files, and give way to variables and flags.
    files
        Whether ``config.yaml`` and a variation are read.

    Raises
    ------
    ConfigError
        Naming the setting, the rule, the value found and the remedy.
    """
    words = long_flags(normalise_argv(argv), short_flags)
    variables = dict(os.environ if environ is None else environ)
    _refuse_unknown_variables(variables)
    layers = [*(_file_layers(words, variables) if files else ()), dict(overlay or {})]

    class CommandConfig(Config):
        """The tree, read from this command's own sources."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            flags = _flags_source(settings_cls, words, short_flags, command, about)
            files = [InitSettingsSource(settings_cls, layer) for layer in reversed(layers)]
            given = EnvSettingsSource(settings_cls)
            given.env_vars = {name.lower(): value for name, value in variables.items()}
            return (flags, given, *files)

    try:
        return Config.model_construct(**dict(CommandConfig()))
    except (ValidationError, SettingsError) as error:
        raise ConfigError(_one_line(error, short_flags)) from error


def refuse_unread_path(config: Config) -> None:
    """Refuse ``data.path`` where the source does not read it.

    For commands that start from the configuration alone; those that start from a model take its
    path from the card, whatever source is named instead.
    """
    if config.data.path is not None and config.data.source != "files":
        raise ConfigError(
            f"data.path is read where data.source is files; got source {config.data.source} and "
            f"path {config.data.path}. Add --data.source files, or leave the path out."
        )


def project_section[S: BaseModel](
    argv: Sequence[str], section: type[S], name: str, environ: Mapping[str, str] | None = None
) -> S:
    """Read one section as ``config.yaml`` and its profile give it, without what one call changes.

    Parameters
    ----------
    argv
        Of its flags ``--config`` and ``--env`` alone are heeded.
    section, name
        Class and name of the section.
    environ
        Read instead of the process's environment variables; as the flags.

    Raises
    ------
    ConfigError
        When a file cannot be read, or the section is not valid.
    """
    variables = dict(os.environ if environ is None else environ)
    variables.pop(ENV_PREFIX + "VARIATION", None)
    given: dict[str, Any] = {}
    for layer in _file_layers(argv, variables):
        given |= layer.get(name) or {}
    try:
        return section.model_validate(given)
    except ValidationError as error:
        raise ConfigError(_one_line(error, {})) from error


def _flags_source(
    settings_cls: type[BaseSettings],
    words: Sequence[str],
    short_flags: Mapping[str, str],
    command: str,
    about: str,
) -> PydanticBaseSettingsSource:
    """Read the flags, all of them made from the tree."""

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise SettingsError(message)

    shown = " ".join(f"[--{short} …]" for short in short_flags.values())
    formatter = help_formatter(Config)
    parser = Parser(
        prog=command,
        allow_abbrev=False,
        usage=f"{command} [--force-sample] [-y] {shown} [--section.key value …]",
        description=about,
        formatter_class=formatter,
    )
    return CliSettingsSource(
        settings_cls,
        root_parser=parser,
        parse_args_method=argparse.ArgumentParser.parse_args,
        formatter_class=formatter,
        cli_parse_args=list(words),
        cli_kebab_case=True,
        cli_parse_none_str="null",
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_shortcuts=dict(short_flags),
    )


def _file_layers(words: Sequence[str], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Read the files of settings, weakest first."""
    named = {
        name: environ.get(ENV_PREFIX + name.upper()) for name in ("config", "env", "variation")
    }
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag.startswith("--") and flag[2:] in named:
            following = words[position + 1] if position + 1 < len(words) else None
            named[flag[2:]] = value if equals else following
    path = Path(named["config"] or "config.yaml")
    tree = _read_yaml(path, must_exist=named["config"] is not None)
    profiles = tree.pop("profiles", None) or {}
    profile = named["env"] or tree.get("env") or "dev"
    if not isinstance(profiles, dict):
        raise ConfigError(f"{path}: profiles must hold settings by name; got {_short(profiles)}.")
    if not isinstance(profile, str) or (named["env"] and named["env"] not in profiles):
        known = ", ".join(map(str, profiles))
        raise ConfigError(
            f"--env must name a profile of {path} ({known or 'it has none'}); "
            f"got {_short(profile)}."
        )
    chosen = profiles.get(profile) or {}
    if not isinstance(chosen, dict):
        raise ConfigError(f"{path}: profiles.{profile} must hold settings; got {_short(chosen)}.")
    layers = [tree, chosen]
    if named["variation"]:
        layers.append(_read_yaml(Path(named["variation"]), must_exist=True))
    return layers


def _read_yaml(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """Read a mapping from a YAML file; a missing optional file is an empty one."""
    import yaml

    if not path.is_file():
        if must_exist:
            raise ConfigError(f"The file of settings {path} does not exist. Check its name.")
        return {}
    try:
        tree = _parse_yaml(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path} must be YAML; got: {detail}") from error
    if not isinstance(tree, dict) or not all(isinstance(name, str) for name in tree):
        raise ConfigError(f"{path} must hold settings by name; got {_short(tree)}.")
    return tree


def _parse_yaml(text: str) -> Any:
    """Read YAML as plain values; a name that is given twice is an error, not the last one's."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            names = [each.value for each, _ in node.value if isinstance(each, yaml.ScalarNode)]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None and twice != "<<":
                line = node.start_mark.line + 1
                raise ValueError(f"{twice} stands twice in the mapping of line {line}")
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)


def _short(value: object) -> str:
    """Show a value in at most 80 characters."""
    shown = reprlib.repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + " …"


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable of ours that names no setting, since it would do nothing."""
    known = {ENV_PREFIX + "__".join(path).upper() for path in setting_paths(Config)}
    for name in environ:
        if name.startswith(ENV_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"The environment variable {name} names no setting.{hint}")


def _one_line(error: ValidationError | SettingsError, short_flags: Mapping[str, str]) -> str:
    """Say in one line which setting is wrong, what the rule is and what was found."""
    if isinstance(error, SettingsError):
        return _flag_problem(str(error), short_flags)
    known = [".".join(path) for path in setting_paths(Config)]
    parts = []
    for detail in error.errors(include_url=False):
        name = ".".join(str(step) for step in detail["loc"])
        if detail["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            parts.append(f"{name} is no setting." + (f" Did you mean {near[0]}?" if near else ""))
        elif detail["type"] == "value_error":
            rule = str(detail["ctx"]["error"]).rstrip(".")
            parts.append(f"{name} {rule}; got {_short(detail['input'])}." if name else f"{rule}.")
        else:
            rule = detail["msg"].replace("Input should be", "must be").rstrip(".")
            parts.append(f"{name} {rule}; got {_short(detail['input'])}.")
    return " ".join(parts) + " See config.yaml or --help."


def _flag_problem(message: str, short_flags: Mapping[str, str]) -> str:
    """Turn the parser's complaint into one of ours."""
    detail = message.removeprefix("error parsing CLI: ")
    unknown = re.search(r"unrecognized arguments: (\S+)", detail)
    if unknown is None:
        return f"The command line cannot be read: {detail}. See --help."
    known = ["--" + ".".join(path).replace("_", "-") for path in setting_paths(Config)]
    known += ["--" + short for short in short_flags.values()] + ["--force-sample", *SWITCHES]
    near = difflib.get_close_matches(unknown[1], known, n=1)
    return f"{unknown[1]} is no flag." + (f" Did you mean {near[0]}?" if near else " See --help.")
