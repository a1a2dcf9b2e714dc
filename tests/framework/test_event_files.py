"""Event files are read as TensorBoard reads them, and damage is found where it is silent."""

import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    IMAGES,
    SCALARS,
    EventAccumulator,
)
from torch.utils.tensorboard import SummaryWriter

from framework.event_files import HEADER, PATTERN, read_events


@pytest.fixture
def folder(tmp_path):
    """A run that went on from step 10, after it had logged step 20."""
    for number, steps in enumerate(([10, 20], [11, 20, 30])):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{number}") as events:
            for step in steps:
                events.add_scalar("a/b", math.sin(step + number), step)
                events.add_image("picture", np.full((1, 5, 7), step / 255), step)
            events.add_text("said", f"text {number}")
    return tmp_path


def test_reads_what_tensorboard_reads(folder):
    found = read_events(folder)
    theirs = EventAccumulator(str(folder), size_guidance={SCALARS: 0, IMAGES: 0}).Reload()
    assert found.scalars == {"a/b": {e.step: e.value for e in theirs.Scalars("a/b")}}
    assert list(found.scalars["a/b"]) == [10, 11, 20, 30]
    last = theirs.Images("picture")[-1]
    assert found.pictures["picture"] == (last.step, last.encoded_image_string)
    assert found.texts == {"said/text_summary": "text 1"}


def test_a_record_that_is_not_complete_does_not_count(folder):
    path = sorted(folder.glob(PATTERN))[-1]
    whole = path.read_bytes()
    for cut in (1, HEADER.size, 40):
        path.write_bytes(whole[:-cut])
        found = read_events(folder)
        assert found.scalars["a/b"].keys() == {10, 11, 20, 30}
        assert found.texts == {"said/text_summary": "text 0"}


def test_a_changed_byte_is_found_wherever_it_is(folder):
    path = sorted(folder.glob(PATTERN))[-1]
    whole = path.read_bytes()
    picture = whole.rfind(b"IDAT") + 6  # in the last one
    for place in (0, 9, 30, whole.find(b"a/b"), picture, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"tfevents.*\.1 is damaged"):
            read_events(folder)
