"""The cluster that its tests share."""

from collections.abc import Iterator

import pytest

from tests.cluster import slurm


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """A real Slurm of two nodes."""
    with slurm.started(tmp_path_factory.mktemp("slurm")) as running:
        yield running
