"""An entry of the cache is built once, is whole or absent, and depends on content alone."""

import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from framework.data import cache as cache_module
from framework.data.cache import MANIFEST, VERIFY, cached, fingerprint, root


class Builder:
    """Writes a file, and counts how often."""

    def __init__(self, log):
        self.log = log

    def __call__(self, folder):
        with self.log.open("a") as log:
            log.write("built\n")
        (folder / "values.bin").write_bytes(bytes(range(256)) * 2000)
        (folder / "facts").mkdir()
        (folder / "facts" / "size.txt").write_text("512000")

    @property
    def count(self):
        return len(self.log.read_text().splitlines())


@pytest.fixture
def builder(tmp_path):
    return Builder(tmp_path / "log")


def test_same_key_is_built_once_and_another_key_again(builder, cache):
    first = cached("things", {"a": 1, "b": "x"}, builder)
    assert cached("things", {"b": "x", "a": 1}, builder) == first
    assert builder.count == 1
    assert cached("things", {"a": 2, "b": "x"}, builder) != first
    assert builder.count == 2
    assert first.parent == cache / "things"


def overwrite(path, seconds):
    """Overwrites 2 kB inside a file, and says that it was changed so much later than it was."""
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(200_000)
        file.write(b"\xff" * 2048)
    os.utime(path, ns=(before, before + seconds * 10**9))


@pytest.mark.parametrize("damage", ["cut", "inside", "missing", "torn manifest", "no manifest"])
def test_a_damaged_entry_is_built_again(builder, damage, capsys):
    entry = cached("things", {}, builder)
    values = entry / "values.bin"
    match damage:
        case "cut":
            values.write_bytes(values.read_bytes()[:-1])
        case "inside":
            overwrite(values, 1)
        case "missing":
            (entry / "facts" / "size.txt").unlink()
        case "torn manifest":
            (entry / MANIFEST).write_text((entry / MANIFEST).read_text()[:-3])
        case "no manifest":
            (entry / MANIFEST).unlink()
    assert cached("things", {}, builder) == entry
    assert builder.count == 2
    assert values.read_bytes() == bytes(range(256)) * 2000
    assert "is damaged" in capsys.readouterr().err


def test_damage_that_leaves_the_time_is_found_on_demand(builder, monkeypatch):
    values = cached("things", {}, builder) / "values.bin"
    overwrite(values, 0)
    cached("things", {}, builder)
    assert builder.count == 1
    monkeypatch.setenv(VERIFY, "1")
    cached("things", {}, builder)
    assert builder.count == 2
    assert values.read_bytes() == bytes(range(256)) * 2000
    cached("things", {}, builder)
    assert builder.count == 2


def test_a_copied_entry_is_hashed_once(builder, monkeypatch):
    entry, hashed = cached("things", {}, builder), []
    for path in (entry / "values.bin", entry / "facts" / "size.txt"):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(cache_module, "fingerprint", lambda p: hashed.append(p) or fingerprint(p))
    for _ in range(2):
        assert cached("things", {}, builder) == entry
    assert (len(hashed), builder.count) == (2, 1)
    assert sorted(path.name for path in entry.iterdir()) == ["facts", MANIFEST, "values.bin"]


def test_a_build_that_failed_leaves_no_entry(builder):
    def fail(folder):
        (folder / "half.bin").write_bytes(b"half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cached("things", {}, fail)
    entry = cached("things", {}, builder)
    assert sorted(json.loads((entry / MANIFEST).read_text())) == ["facts/size.txt", "values.bin"]
    assert not (entry / "half.bin").exists()


def test_processes_at_the_same_time_build_once(builder):
    def slow(folder):
        time.sleep(0.05)
        builder(folder)

    def work():
        entry = cached("things", {}, slow)
        os._exit(0 if (entry / "values.bin").stat().st_size == 512000 else 1)

    processes = [multiprocessing.get_context("fork").Process(target=work) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0] * 4
    assert builder.count == 1


def test_fingerprint_is_of_content(tmp_path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("text")
    other.write_text("text")
    assert fingerprint(one) == fingerprint(other) == fingerprint("text") == fingerprint(b"text")
    other.write_text("text!")
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_root_is_the_variable_or_the_home(monkeypatch, cache):
    assert root() == cache
    monkeypatch.delenv("OVERTONE_CACHE")
    assert root() == Path.home() / ".cache" / "overtone"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written(monkeypatch, builder, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ValueError, match=r"cannot be written.*OVERTONE_CACHE"):
        cached("things", {}, builder)
