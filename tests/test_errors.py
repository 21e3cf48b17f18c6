"""Every error that is raised on purpose has one base, and is the built-in that fits."""

import inspect

import pytest

import minivit
from minivit import errors
from minivit.gradcheck import GradientError
from minivit.run import Interrupted
from minivit.train import NotFinite, TrainConfig

BUILT_IN = {
    errors.ConfigError: ValueError,
    errors.ConfigTypeError: TypeError,
    errors.DataError: ValueError,
    errors.DataTypeError: TypeError,
    errors.CheckpointError: ValueError,
    errors.DeviceError: RuntimeError,
    errors.TrainingError: RuntimeError,
    errors.MissingPackageError: ModuleNotFoundError,
    NotFinite: RuntimeError,
    GradientError: AssertionError,
    Interrupted: Exception,
}


@pytest.mark.parametrize("error", BUILT_IN, ids=lambda error: error.__name__)
def test_every_error_is_minivits_and_the_built_in_that_fits(error):
    assert issubclass(error, minivit.MinivitError) and issubclass(error, BUILT_IN[error])


def test_no_error_is_missing_here():
    defined = {one for _, one in inspect.getmembers(errors, inspect.isclass)} - {
        errors.MinivitError,
        errors.DataWarning,
    }
    assert defined <= set(BUILT_IN)


def test_a_setting_of_the_wrong_type_is_a_value_error_too():
    for kind in (TypeError, ValueError, minivit.MinivitError):
        with pytest.raises(kind, match="batch_size must be a whole number"):
            TrainConfig(batch_size=1.5)
