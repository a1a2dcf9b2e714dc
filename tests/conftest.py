"""What every test starts from."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def forgotten_seed() -> Iterator[None]:
    """Lets no test inherit a seed: `seed_everything` leaves it in the environment of the ranks."""
    yield
    os.environ.pop("PL_GLOBAL_SEED", None)
