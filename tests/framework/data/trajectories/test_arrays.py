"""Episodes in NumPy archives and HDF5 files, under the names that benchmarks give their arrays."""

import pickle
import re
import sys

import numpy as np
import pytest

from framework.data.trajectories.arrays import NpzEpisodes
from framework.data.trajectories.hdf5 import Hdf5Episodes
from tests.framework.data.trajectories.test_recordings import PARTS, assert_holds

STEPS = np.cumsum([4, 1, 6]) - 1  # the last of each episode
JOINED = {f"{name}s": np.concatenate([part[name] for part in PARTS]) for name in PARTS[0]}


def flags(*rows):
    return np.isin(np.arange(11), rows)


def npz(folder, **arrays):
    np.savez(folder / "episodes.npz", **arrays)
    return NpzEpisodes(str(folder / "episodes.npz"))


def hdf5(folder, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "episodes.hdf5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file["metadata/algorithm"] = "SAC"  # groups are passed over
    return Hdf5Episodes(str(folder / "episodes.hdf5"))


FORMATS = pytest.mark.parametrize("write", [npz, hdf5])


@FORMATS
@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
@pytest.mark.parametrize("names", [("terminals", "timeouts"), ("terminations", "truncations")])
def test_flags_end_episodes(write, kind, names, tmp_path):
    ends = dict(zip(names, (flags(STEPS[0], STEPS[2]), flags(STEPS[1])), strict=True))
    typed = {name: values.astype(kind) for name, values in ends.items()}
    source = write(tmp_path, **JOINED, **typed, next_observations=JOINED["observations"])
    assert_holds(source.read(), PARTS)


@FORMATS
def test_columns_of_one_entry_are_squeezed(write, tmp_path):
    columns = {**JOINED, "rewards": JOINED["rewards"][:, None]}
    source = write(tmp_path, **columns, terminals=flags(*STEPS)[:, None])
    assert_holds(source.read(), PARTS)


@FORMATS
def test_an_episode_without_end_is_left_out_and_said(write, tmp_path, capsys):
    source = write(tmp_path, **JOINED, terminals=flags(3, 4))
    assert_holds(source.read(), PARTS[:2])
    said = capsys.readouterr().err
    assert "rows 5 to 10 are an episode without end" in said
    assert str(tmp_path) in said


def changed(name, row, value):
    values = JOINED[name].astype(float).copy()
    values[row] = value
    return {**JOINED, name: values, "terminals": flags(*STEPS)}


MISTAKES = {
    "nothing ends": (
        {**JOINED, "terminals": flags()},
        "no episode ends in rows 0 to 10, where all flags are false; add `timeouts`",
    ),
    "no flag": (
        {**JOINED, "terminals": np.where(flags(2), 7, 0)},
        r"terminals\[2\] is 7, which is neither",
    ),
    "few flags": (
        {**JOINED, "terminals": flags(*STEPS)[:9]},
        "terminals has 9 rows, rewards 11",
    ),
    "nan": (
        changed("observations", 5, np.nan),
        r"observations\[5\] \(episode 2, step 0\) is NaN or infinite",
    ),
    "infinite": (changed("rewards", 4, -np.inf), r"rewards\[4\] \(episode 1, step 0\) is NaN"),
    "huge": (changed("actions", 1, 1e39), r"actions\[1\] \(episode 0, step 1\) is .*too large"),
    "short": (
        {**JOINED, "rewards": JOINED["rewards"][:9], "terminals": flags(3, 8)[:9]},
        "differ in length .*observation has 11, action has 11, reward has 9",
    ),
    "wide": (
        {**JOINED, "rewards": np.zeros((11, 2)), "terminals": flags(*STEPS)},
        r"rewards have the shape \(11, 2\); give one for every step",
    ),
    "text": (
        {**JOINED, "actions": np.array([b"left"] * 11)},
        "actions are of type .*S4.* numbers",
    ),
    "none": ({name: values[:0] for name, values in JOINED.items()}, "without steps"),
    "scalar": ({**JOINED, "rewards": np.array(1.0)}, "'rewards' is a single value"),
    "fraction": ({**JOINED, "length": [4, 1.5, 5.5]}, "length holds .4.0, 1.5, 5.5., which must"),
    "empty": (
        {**JOINED, "length": [4, 0, 7]},
        r"length holds \[4, 0, 7\], which must be positive",
    ),
    "missing": ({"observations": np.zeros(3)}, "has no array 'action'; it has observations"),
}


@FORMATS
@pytest.mark.parametrize(("arrays", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_name_file_and_row(write, arrays, message, tmp_path):
    source = write(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        source.read()
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_objects_are_refused_in_a_sentence(tmp_path):
    ragged = np.array([[1.0], [1.0, 2.0]], dtype=object)
    source = npz(tmp_path, observations=ragged, actions=[0, 1], rewards=[0.0, 1.0])
    with pytest.raises(
        ValueError, match=r"'observations' holds Python objects .*write numbers of"
    ):
        source.read()
    path = tmp_path / "episodes.npz"
    for content, message in (
        (pickle.dumps(JOINED), "holds pickled objects, which could run any code; write arrays"),
        (b"PK\x03\x04 cut", "is damaged or no NumPy archive"),
        (b"", "is damaged or no NumPy archive"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            source.read()
        assert "allow_pickle" not in str(caught.value)
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"is one array of shape \(3, 2\); write observation"):
        source.read()


def test_files_of_different_kinds_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **PARTS[0])
    np.savez(tmp_path / "b.npz", **{**PARTS[0], "action": np.array([0.5, 1, 0, 1])})
    kinds = re.escape("(whole numbers of shape () and floats of shape ())")
    with pytest.raises(ValueError, match=rf"actions of '.*a.npz' and '.*b.npz' {kinds}; read"):
        NpzEpisodes(str(tmp_path)).read()


def test_hdf5_files_are_found_in_a_directory(tmp_path):
    hdf5(tmp_path, **JOINED, timeouts=flags(*STEPS))
    source = Hdf5Episodes(str(tmp_path), "Any-v0")
    assert_holds(source.read(), PARTS)
    assert source.environment == "Any-v0"


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_damaged_hdf5_files_are_refused(tmp_path, compression):
    h5py, path = pytest.importorskip("h5py"), tmp_path / "episodes.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in {**JOINED, "timeouts": flags(*STEPS)}.items():
            file.create_dataset(name, data=values, compression=compression)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    refused = []
    for trial in range(60):
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[random.integers(min(2048, len(whole)))] = random.integers(256)
        path.write_bytes(damaged if trial % 2 else whole[: random.integers(len(whole))])
        try:
            Hdf5Episodes(str(path)).read()
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all(str(path) in message for message in refused)


def test_what_hdf5_needs_is_said(tmp_path, monkeypatch):
    path = tmp_path / "episodes.h5"
    with pytest.raises(ValueError, match=r"Hdf5Episodes: path='.*h5' matches no file"):
        Hdf5Episodes(str(path)).key()
    path.write_bytes(b"not HDF5")
    h5py = pytest.importorskip("h5py")
    with pytest.raises(ValueError, match="is damaged or no HDF5 file"):
        Hdf5Episodes(str(path)).read()
    with h5py.File(path, "w") as file:
        file["episode_0/observations"] = np.zeros((3, 2))
    with pytest.raises(
        ValueError, match="holds episode_0 and no arrays at its top; write observations"
    ):
        Hdf5Episodes(str(path)).read()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match=r"Hdf5Episodes needs the package h5py; pip install"):
        Hdf5Episodes(str(path)).read()
