"""Checkpoints survive: whatever kills their writer, one is whole, and damage is noticed."""

import resource
import shutil
import zipfile

import pytest
import torch

from framework import checkpoint_files, checksums
from framework.checkpoint_files import complete_folder, link, save, sweep, temporary_of
from framework.checkpoints import (
    is_usable,
    joined,
    load_parameters,
    of_run,
    read,
    require_intact,
)
from framework.checksums import ChecksummedFile, is_intact
from tests.processes import killed_everywhere, run_forked, tick


def checkpoint(number):
    state = {f"w{k}": torch.full((1000,), float(number)) for k in range(3)}
    return {"pytorch-lightning_version": "2.6", "global_step": number, "state_dict": state}


def number_of(path):
    """The number of a checkpoint, of which all parameters are."""
    held = read(path)
    assert all((w == held["global_step"]).all() for w in held["state_dict"].values())
    return held["global_step"]


@pytest.fixture
def slowly(monkeypatch):
    """A process can also be killed between the pieces of a file, and before a sync."""

    class Slow(ChecksummedFile):
        def write(self, data):
            tick()
            return super().write(data)

    monkeypatch.setattr(checkpoint_files, "ChecksummedFile", Slow)
    monkeypatch.setattr(checkpoint_files.os, "fsync", lambda _: tick())


@pytest.mark.slow
def test_a_file_is_the_earlier_or_the_later_one_whenever_its_writer_is_killed(tmp_path, slowly):
    path = tmp_path / "last.ckpt"
    save(checkpoint(1), path)
    found = []
    for _ in killed_everywhere(lambda: save(checkpoint(2), path), tmp_path):
        found.append(number_of(path))
        save(checkpoint(1), path)
    assert found == sorted(found)
    assert set(found) == {1, 2}
    assert number_of(path) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"], "the next write tidies up"


def shards(number):
    def write(folder, name):
        folder.mkdir(exist_ok=True)
        temporary = temporary_of(folder / name)
        checkpoint_files.remove(temporary)
        temporary.mkdir()
        torch.save(checkpoint(number), temporary / "meta.pt")
        (temporary / ".metadata").write_bytes(b"which shard holds what")
        for rank in range(2):
            (temporary / f"__{rank}_0.distcp").write_bytes(bytes([number]) * 100)
        sums = checksums.checksums(temporary.iterdir())
        complete_folder(temporary, sums, folder / name)

    return write


@pytest.mark.slow
def test_a_folder_of_shards_is_the_earlier_or_the_later_one_whenever_killed(tmp_path, slowly):
    shards(1)(tmp_path, "best.ckpt")
    found = []
    for _ in killed_everywhere(lambda: shards(2)(tmp_path, "best.ckpt"), tmp_path):
        sweep(tmp_path)  # what the next run does first
        assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]
        assert is_intact(tmp_path / "best.ckpt")
        found.append(number_of(tmp_path / "best.ckpt"))
        assert (tmp_path / "best.ckpt" / "__1_0.distcp").read_bytes() == bytes([found[-1]]) * 100
        shutil.rmtree(tmp_path / "best.ckpt")
        shards(1)(tmp_path, "best.ckpt")
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_a_name_always_stands_for_a_whole_checkpoint(tmp_path, slowly):
    save(checkpoint(1), tmp_path / "step=1.ckpt")
    save(checkpoint(2), tmp_path / "step=2.ckpt")
    link(tmp_path, "last.ckpt", "step=1.ckpt")
    found = []
    for _ in killed_everywhere(lambda: link(tmp_path, "last.ckpt", "step=2.ckpt"), tmp_path):
        found.append(number_of(tmp_path / "last.ckpt"))
        link(tmp_path, "last.ckpt", "step=1.ckpt")
    assert set(found) == {1, 2}
    assert [path.name for path in of_run(tmp_path)] == ["last.ckpt", "step=1.ckpt"]


def test_a_name_is_a_copy_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    save(checkpoint(1), tmp_path / "step=1.ckpt")
    shards(2)(tmp_path, "step=2.ckpt")
    for name, expected in (("step=1.ckpt", 1), ("step=2.ckpt", 2), ("step=1.ckpt", 1)):
        link(tmp_path, "last.ckpt", name)
        assert number_of(tmp_path / "last.ckpt") == expected
        assert not (tmp_path / "last.ckpt").is_symlink()


def test_a_full_disk_leaves_the_earlier_file_only(tmp_path):
    path = tmp_path / "last.ckpt"
    save(checkpoint(1), path)
    size = path.stat().st_size

    def write():
        for limit in (0, 10, size // 3, size // 2, size - 100, size - 74, size - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            with pytest.raises(OSError, match="File too large"):
                save(checkpoint(2), path)
            assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]

    assert run_forked(write) == 0
    assert number_of(path) == 1


def damaged(raw):
    """Yields what remains of a file after a fault of the disk, by what happened."""
    for lost in (1, 20, 73, 74, 95, 200, len(raw) // 2, len(raw)):
        yield f"{lost} bytes cut", raw[: len(raw) - lost]
    for start in range(0, len(raw), max(1, len(raw) // 200)):
        zeroed = raw[:start] + bytes(64) + raw[start + 64 :]
        yield f"64 bytes zeroed at {start}", zeroed[: len(raw)]
    yield "a bit flipped", raw[:3000] + bytes([raw[3000] ^ 1]) + raw[3001:]


def test_damage_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "x.ckpt"
    save(checkpoint(7), path)
    assert number_of(path) == 7
    raw = path.read_bytes()
    for what, content in damaged(raw):
        if content == raw:  # zeros were zeroed
            continue
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x.ckpt' is damaged.*; use an earlier one"):
            raise AssertionError(f"{what}: {read(path)['global_step']} was read")


def test_the_file_is_a_zip_with_a_comment(tmp_path):
    save(checkpoint(7), tmp_path / "x.ckpt")
    with zipfile.ZipFile(tmp_path / "x.ckpt") as file:
        assert file.testzip() is None
        assert file.comment.startswith(b"sha256:")
    assert torch.load(tmp_path / "x.ckpt", weights_only=True)["global_step"] == 7


def test_files_without_a_checksum_are_read(tmp_path):
    torch.save(checkpoint(3), tmp_path / "old.ckpt")
    assert number_of(tmp_path / "old.ckpt") == 3
    shards(4)(tmp_path, "folder.ckpt")
    (tmp_path / "folder.ckpt" / checksums.LIST).unlink()
    assert number_of(tmp_path / "folder.ckpt") == 4


@pytest.mark.parametrize("name", ["__0_0.distcp", "meta.pt", checksums.LIST])
def test_damage_of_a_folder_is_noticed(tmp_path, name):
    shards(1)(tmp_path, "step=1.ckpt")
    shards(2)(tmp_path, "step=2.ckpt")
    broken = tmp_path / "step=2.ckpt" / name
    raw = broken.read_bytes()
    for content in (raw[:-1], raw[: len(raw) // 2], bytes(64) + raw[64:], b""):
        broken.write_bytes(content)
        assert not is_intact(broken.parent)
        with pytest.raises(ValueError, match=r"step=2.ckpt' is damaged.*use '.*step=1.ckpt'"):
            require_intact(broken.parent)
    broken.unlink()
    if name != checksums.LIST:
        with pytest.raises(ValueError, match="step=2"):
            read(broken.parent)


@pytest.fixture
def summed(monkeypatch):
    """The names of the files that were read to the end for their checksums."""
    names, sum_of = [], checksums._sum_of
    monkeypatch.setattr(
        checksums, "_sum_of", lambda file, size: names.append(file.name) or sum_of(file, size)
    )
    return names


@pytest.mark.parametrize(
    ("part", "read_there"),
    [
        (slice(None), [".metadata", "__0_0.distcp", "__1_0.distcp", "meta.pt"]),
        (slice(0, None, 3), [".metadata", "meta.pt"]),
        (slice(1, None, 3), ["__0_0.distcp"]),
        (slice(2, None, 3), ["__1_0.distcp"]),
    ],
)
def test_processes_divide_the_files_of_a_folder(tmp_path, summed, part, read_there):
    shards(1)(tmp_path, "a.ckpt")
    summed.clear()
    assert is_intact(tmp_path / "a.ckpt", part)
    assert summed == read_there
    assert is_intact(tmp_path / "a.ckpt", part)
    assert len(summed) == len(read_there)  # nothing is read again that has not changed
    for file in (tmp_path / "a.ckpt").iterdir():
        raw = file.read_bytes()
        if file.name != checksums.LIST:
            file.write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
            assert is_intact(tmp_path / "a.ckpt", part) == (file.name not in read_there)
            file.write_bytes(raw)


def test_what_is_read_of_a_folder_is_checked(tmp_path, summed):
    """The shards are where parameters are loaded, or where a run looks for what is whole."""
    shards(1)(tmp_path, "a.ckpt")
    folder = tmp_path / "a.ckpt"
    summed.clear()
    assert number_of(folder) == 1
    assert summed == ["meta.pt"]
    (folder / "__1_0.distcp").write_bytes(bytes(100))
    assert number_of(folder) == 1
    assert not is_usable(folder)
    for load in (load_parameters, joined):
        with pytest.raises(ValueError, match=r"a.ckpt' is damaged, its checksum says; use an"):
            load(folder)


def test_an_error_names_the_newest_whole_checkpoint_beside_it(tmp_path):
    for number in (1, 2, 3):
        save(checkpoint(number), tmp_path / f"step={number}.ckpt")
    link(tmp_path, "last.ckpt", "step=3.ckpt")
    for number in (2, 3):
        (tmp_path / f"step={number}.ckpt").write_bytes(b"")
    for name in ("last.ckpt", "step=3.ckpt"):
        with pytest.raises(ValueError, match=r"is damaged.*; use '.*step=1.ckpt', which is"):
            read(tmp_path / name)
