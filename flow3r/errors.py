"""The errors a user can cause. Each message names the thing, the value and the valid choices."""


class ConfigError(ValueError):
    """A setting that is unknown, of the wrong type, or out of range."""


class DataError(ValueError):
    """Input data that are missing, damaged or inconsistent."""


class NonFiniteLossError(ArithmeticError):
    """A loss that became NaN or infinite; training stops at once."""
