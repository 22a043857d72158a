"""OpenCV on request: a clear message where it is missing, one thread while we use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from flow3r.errors import ConfigError


def require_opencv() -> ModuleType:
    """The cv2 module, imported only now. Raises ConfigError saying what to install."""
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            "the DIS teacher and video input need OpenCV, which cannot be imported "
            f"({error}); install it with: pip install opencv-python-headless"
        ) from error
    return cv2


@contextmanager
def one_thread() -> Iterator[ModuleType]:
    """OpenCV on one thread inside the block; the caller's setting is back afterwards.

    DIS splits its patch search into one stripe per thread, so the thread count changes the
    numbers; and runs in slots share the machine's cores. The setting belongs to the process:
    other threads that use OpenCV meanwhile see it too.
    """
    cv2 = require_opencv()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield cv2
    finally:
        cv2.setNumThreads(threads)
