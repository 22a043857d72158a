"""How a run or a stage ended, for whoever started its process."""

DONE, FAILED, INTERRUPTED = 0, 1, 75  # 75 = EX_TEMPFAIL: requeue without counting a failure

PAUSED = "paused"
"""How the reason of an interrupted run begins that has reached its `runtime.pause_at`."""
