"""What a name may import: never the standard library, and with a checkpoint only parts."""

import sys

import pytest

from framework.importing import TRUST, check, foreign, imported, located, packages, refusal

STANDARD = ["os.system", "posix.system", "builtins.eval", "pathlib.Path.unlink", "subprocess.call"]


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a mark where it is imported."""
    (tmp_path / "evil_of_test.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'marker')!r})\nclass Head: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "marker"
    sys.modules.pop("evil_of_test", None)


@pytest.mark.parametrize("path", STANDARD)
@pytest.mark.parametrize("with_checkpoint", [False, True])
@pytest.mark.parametrize("trust", ["", "1"])
def test_the_standard_library_is_refused(path, with_checkpoint, trust, monkeypatch):
    monkeypatch.setenv(TRUST, trust)
    with foreign(with_checkpoint), pytest.raises(ValueError, match="standard library"):
        check(path)
    assert located(path) is None


def test_a_checkpoint_imports_no_other_modules_unless_it_is_trusted(evil, monkeypatch):
    with pytest.raises(ValueError, match=r"evil_of_test\.Head is not imported .* give --trust"):
        imported("evil_of_test.Head")
    with foreign():
        assert located("evil_of_test.Head") is None
        with foreign(False):
            assert not refusal("evil_of_test.Head"), "a recipe of the user may name it"
    assert not evil.exists()
    monkeypatch.setenv(TRUST, "1")
    assert imported("evil_of_test.Head").__name__ == "Head"
    assert evil.exists()
    monkeypatch.delenv(TRUST)
    assert imported("evil_of_test.Head").__name__ == "Head", "importing it again runs nothing"


@pytest.mark.parametrize("path", ["components.FourierHead", "torch.optim.AdamW", "framework.data"])
def test_a_checkpoint_may_name_parts(path):
    with foreign():
        assert not refusal(path)


def test_installed_packages_of_parts_count(monkeypatch):
    from importlib import metadata

    point = metadata.EntryPoint("x", "wavelets_of_test.heads", "overtone.components")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    packages.cache_clear()
    try:
        with foreign():
            assert not refusal("wavelets_of_test.heads.Head")
            assert refusal("wavelets_of_test2.heads.Head")
    finally:
        packages.cache_clear()
