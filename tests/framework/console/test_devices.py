"""A device that is not there is refused in one sentence, by every verb that takes one."""

import pytest
import torch

from framework.console.checkpoint_options import CheckpointOptions
from framework.console.devices import fabric_on
from framework.console.errors import UserError

ABSENT = "mps" if torch.cuda.is_available() else "cuda"
SAID = f"--accelerator {ABSENT}: this machine has none that torch can use; choose auto or cpu"


@pytest.mark.parametrize(
    "find", [fabric_on, lambda name: CheckpointOptions(None, accelerator=name).launch()]
)
def test_a_device_that_is_not_there(find):
    with pytest.raises(UserError, match=SAID):
        find(ABSENT)


def test_a_device_that_is_there():
    assert fabric_on("cpu").device == torch.device("cpu")
