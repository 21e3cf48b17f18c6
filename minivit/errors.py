"""Every error that minivit raises on purpose, for something that its user can change.

`except MinivitError` catches them all; each is also the built-in exception that fits. The command line prints these,
and the operating system's, as one line. Whatever else is raised is a bug, and shows its traceback.
"""


class MinivitError(Exception):
    """The base of them. The message is one line: what came, what was expected, what to do."""


class ConfigError(MinivitError, ValueError):
    """A setting, an option or an argument that cannot be used; the message names it."""


class ConfigTypeError(ConfigError, TypeError):
    """A setting of the wrong type."""


class DataError(MinivitError, ValueError):
    """Images, labels or files of data that cannot be used."""


class DataTypeError(DataError, TypeError):
    """Images or labels of the wrong dtype."""


class CheckpointError(MinivitError, ValueError):
    """A file of a model or a run that does not hold what it should; the message names the file."""


class DeviceError(MinivitError, RuntimeError):
    """The device that was asked for cannot be used."""


class TrainingError(MinivitError, RuntimeError):
    """Training cannot go on."""


class MissingPackageError(MinivitError, ModuleNotFoundError):
    """An optional package is not installed; the message says which extra brings it."""


class DataWarning(UserWarning):
    """Data that can be read, but are probably not what they should be; no error, since they might be."""
