"""Rows come back whole and in order, however far the host is behind."""

import pytest
import torch

from diffrun_worker.training.readback import GRAD_NORM, LOSS, PAUSE, STOP, Readback, StepRow


@pytest.mark.parametrize("lag", [0, 1, 5])
def test_a_row_is_read_once_its_lag_has_passed(lag: int) -> None:
    readback = Readback(torch.device("cpu"), lag)
    read = []
    for step in range(12):
        row = readback.row(step)
        row[LOSS], row[GRAD_NORM], row[PAUSE], row[STOP] = step, 2 * step, step % 2, 0
        readback.send(step)
        if step >= lag:
            read.append(readback.read(step - lag))
    assert read == [StepRow(step, step, 2 * step, pause=bool(step % 2), stop=False) for step in range(12 - lag)]


def test_a_row_that_was_never_sent_is_no_zero() -> None:
    with pytest.raises(ValueError, match="nothing was sent for step 0"):
        Readback(torch.device("cpu")).read(0)
