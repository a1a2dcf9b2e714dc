"""Libraries whose models are read are quiet."""

import sys

import pytest


@pytest.fixture(autouse=True)
def quiet():
    if (transformers := sys.modules.get("transformers")) is None:
        yield
        return
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()
