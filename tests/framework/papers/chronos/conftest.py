"""Series that runs prepare: once for each file of tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what is prepared in a new folder, which all tests of a file read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERTONE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
