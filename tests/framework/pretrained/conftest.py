"""A tiny model that is written once."""

import pytest

from framework.pretrained.tiny import write


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The directory of a Llama with two blocks of width 32."""
    return str(write(tmp_path_factory.mktemp("tiny"), dim=32, heads=2))
