"""The errors that omninmo raises on purpose.

Each message says what is wrong, the rule, the value found and what to do next.
Context is added on the way up with ``add_note``; the commands print one line
and exit with the error's ``exit_code``.
"""


class OmninmoError(Exception):
    """Root of every error that omninmo raises on purpose."""

    exit_code = 1


class ConfigError(OmninmoError):
    """A setting, a flag or a combination of them is not allowed."""

    exit_code = 2


class PathTaken(ConfigError):
    """A path that must be new exists, possibly since a moment ago."""


class DataError(OmninmoError):
    """The bars given cannot be used."""

    exit_code = 2


class NotEnoughData(DataError):
    """The bars are sound but too few for what was asked."""


class ModelError(OmninmoError):
    """A saved model cannot be used: missing, damaged, or of a newer schema."""

    exit_code = 2


class SourceUnavailable(OmninmoError):
    """A data vendor cannot be reached or gives nothing."""


class ClusterError(OmninmoError):
    """A cluster cannot be reached, does not fit, or is lost."""


class TrackingError(OmninmoError):
    """MLflow's store cannot be reached or refuses to write."""


class Interrupted(BaseException):
    """A signal asked the process to end; carries the shell's exit code.

    Not an ``Exception``, so that no handler of ordinary failures swallows it.
    """

    def __init__(self, signal_name: str, exit_code: int) -> None:
        super().__init__(f"interrupted by {signal_name}")
        self.exit_code = exit_code
