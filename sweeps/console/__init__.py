"""What the front door says while a sweep runs and at its end; `console=` chooses how.

Importing `make_console` and `Console` from here is all that a session needs.
"""

from sweeps.console.base import Console
from sweeps.console.choice import make_console

__all__ = ["Console", "make_console"]
