"""Tests of data modules prepare into a cache of their own."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERTONE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
