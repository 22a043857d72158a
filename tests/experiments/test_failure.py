"""Every error gets its name, whichever process and library it comes from."""

import numpy as np
import pytest
import torch

from experiments.failure import EXIT, KILLED, NON_FINITE, OUT_OF_MEMORY, failure_of
from flow3r.errors import DataError, NonFiniteLossError


def told(error):
    return f"{type(error).__name__}: {error}"


def raised_by(call):
    try:
        call()
    except Exception as error:
        return told(error)
    raise AssertionError("did not raise")


HUGE = 2**60


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.empty(HUGE // 8),
        lambda: np.empty(HUGE, np.uint8),
        lambda: bytearray(HUGE),
        lambda: exec('raise OSError(12, "Cannot allocate memory")'),
    ],
    ids=["torch", "numpy", "python", "fork"],
)
def test_real_shortage_of_memory_is_named(call):
    assert failure_of(raised_by(call)) == OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (told(torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")), OUT_OF_MEMORY),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x", OUT_OF_MEMORY),
        ("process 1 of 2: OutOfMemoryError: CUDA out of memory", OUT_OF_MEMORY),
        (told(NonFiniteLossError("the loss became non-finite in stage 'joint'")), NON_FINITE),
        ("process 0 of 4: NonFiniteLossError: the loss", NON_FINITE),
        ("process 1 of 2: ended with exit code -9", KILLED),
        ("process 1 of 2: ended with exit code 1", EXIT),
        (told(DataError("MemoryError: is a file's name here")), EXIT),
        (told(RuntimeError("mat1 and mat2 shapes cannot be multiplied")), EXIT),
    ],
)
def test_names(reason, name):
    assert failure_of(reason) == name


def test_a_decomposition_of_nan_is_a_non_finite_loss():
    reason = raised_by(lambda: torch.linalg.svd(torch.full((3, 3), float("nan"))))
    assert failure_of(reason) == NON_FINITE
