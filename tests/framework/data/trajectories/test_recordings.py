import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from framework.data.trajectories.arrays import NpzEpisodes
from framework.data.trajectories.recordings import MinariEpisodes, TableEpisodes


def episode(steps, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "observation": rng.normal(size=(steps, 2, 3)),
        "action": rng.integers(5, size=steps),
        "reward": rng.normal(size=steps),
    }


def assert_holds(episodes, parts):
    assert episodes.length.tolist() == [len(part["reward"]) for part in parts]
    for name in ("observation", "action", "reward"):
        wanted = np.concatenate([part[name] for part in parts])
        if name == "observation":
            wanted = wanted.astype(np.float32)
        np.testing.assert_array_equal(getattr(episodes, name), wanted)


PARTS = [episode(4, 1), episode(1, 2), episode(6, 3)]


def test_archives_hold_one_episode_or_several(tmp_path):
    for k, part in enumerate(PARTS):
        np.savez(tmp_path / f"{k}.npz", **part)
    assert_holds(NpzEpisodes(str(tmp_path)).read(), PARTS)
    joined = {name: np.concatenate([part[name] for part in PARTS]) for name in PARTS[0]}
    np.savez_compressed(tmp_path / "all.npz", **joined, length=[4, 1, 6])
    assert_holds(NpzEpisodes(str(tmp_path / "all.npz")).read(), PARTS)


def table():
    rows = []
    for name, part in zip("bca", PARTS, strict=True):
        seen = [[list(row) for row in frame] for frame in part["observation"]]
        columns = {"observation": seen, "action": part["action"], "reward": part["reward"]}
        rows.append(pd.DataFrame({"episode": name, **columns}))
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_tables_hold_a_step_a_row(tmp_path, suffix):
    path = tmp_path / f"episodes{suffix}"
    (table().to_parquet if suffix == ".parquet" else table().to_feather)(path)
    source = TableEpisodes(str(path), "Any-v0")
    assert_holds(source.read(), PARTS)
    assert source.environment == "Any-v0"


def ragged(frame):
    frame.at[2, "observation"] = [[1.0, 2.0, 3.0]]
    return frame


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:0], "has no rows"),
        (
            lambda t: t.assign(observation=np.where(t.index == 3, np.inf, 1.0)),
            r"'observation' in row 4 .* is NaN or inf",
        ),
        (lambda t: t.assign(reward=[[1.0, 2.0]] * 11), r"rewards have the shape \(11, 2\); give"),
        (
            lambda t: t.assign(action=["left"] * 11),
            "'action' in row 1 is 'left', which is not a n",
        ),
        (
            lambda t: t.assign(observation=[{"a": 1.0}] * 11),
            "'observation' in row 1 is {'a': 1.0}",
        ),
        (lambda t: t.assign(observation=[[]] * 11), "'observation' in row 1 is an empty list"),
        (
            lambda t: t.assign(observation=[*[[1.0]] * 5, [None], *[[1.0]] * 5]),
            "'observation' in row 6 has gaps; fill it",
        ),
        (lambda t: t.assign(episode=[None, *t.episode[1:]]), "'episode' in row 1 has gaps"),
        (
            lambda t: t.assign(episode=["", *t.episode[1:]]),
            "'episode' in row 1 is empty; give eve",
        ),
        (lambda t: t.rename(columns={"action": "act"}), "no column 'action'; it has episode, obs"),
        (lambda t: t.assign(reward=[None, *t.reward[1:]]), "column 'reward' in row 1 has gaps"),
        (lambda t: t.iloc[[0, 4, 1]], "apart, as episode 'b' goes on in row 3; sort them"),
        (ragged, "column 'observation' in row 3 holds lists that differ in length"),
    ],
)
def test_mistakes_in_tables_get_one_sentence(tmp_path, change, message):
    path = tmp_path / "episodes.parquet"
    change(table()).to_parquet(path)
    with pytest.raises(ValueError, match=message):
        TableEpisodes(str(path)).read()


def test_csv_files_are_tables_of_numbers(tmp_path):
    path = tmp_path / "episodes.csv"
    path.write_text(
        "episode,observation,action,reward\n007,1,True,0.5\n007,2,False,1\n7,3,True,2\n"
    )
    episodes = TableEpisodes(str(path)).read()
    assert episodes.length.tolist() == [2, 1]
    assert episodes.action.tolist() == [True, False, True]
    path.write_text("episode,observation,action,reward\n1,1,0,1\n1,x,1,1\n")
    with pytest.raises(ValueError, match=r"episodes.csv': column 'observation' in row 2 is 'x'"):
        TableEpisodes(str(path)).read()
    path.write_text("episode,observation,action,reward\n")
    with pytest.raises(ValueError, match=r"episodes.csv' has no rows"):
        TableEpisodes(str(path)).read()


def test_mistakes_in_archives_get_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / "none.npz"):
        with pytest.raises(ValueError, match=r"NpzEpisodes: path='.*npz' matches no file"):
            NpzEpisodes(str(path)).key()
    with pytest.raises(ValueError, match=r"TableEpisodes: path='none.parquet' is not a file"):
        TableEpisodes("none.parquet").key()
    np.savez(tmp_path / "a.npz", observation=[1.0], action=[1])
    with pytest.raises(ValueError, match="has no array 'reward'; it has observation, action"):
        NpzEpisodes(str(tmp_path)).read()
    np.savez(tmp_path / "a.npz", **PARTS[0])
    np.savez(tmp_path / "b.npz", **{**PARTS[0], "observation": np.zeros((4, 2))})
    with pytest.raises(
        ValueError, match=r"observations of '.*a.npz' and '.*b.npz' \(floats of shape \(2, 3\) and"
    ):
        NpzEpisodes(str(tmp_path)).read()


class FakeMinari:
    """What this package uses of Minari: there is one more observation than there are actions."""

    def __init__(self, cut=(), change=lambda episode: None):
        self.cut, self.change = cut, change

    def load_dataset(self, name):
        if name != "pendulum/test-v0":
            raise FileNotFoundError(name)
        episodes = [
            SimpleNamespace(
                observations=np.concatenate([part["observation"], np.zeros((1, 2, 3))]),
                actions=part["action"],
                rewards=part["reward"],
                id=number,
                terminations=[False] * len(part["reward"]),
                truncations=[False] * (len(part["reward"]) - 1) + [number not in self.cut],
            )
            for number, part in enumerate(PARTS)
        ]
        self.change(episodes[1])
        spec = SimpleNamespace(env_spec=SimpleNamespace(id="Pendulum-v1"))
        return SimpleNamespace(spec=spec, total_steps=11, iterate_episodes=lambda: iter(episodes))


def test_minari_data_sets_are_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", FakeMinari())
    source = MinariEpisodes("pendulum/test-v0")
    assert_holds(source.read(), PARTS)
    assert source.environment == "Pendulum-v1"
    assert MinariEpisodes("pendulum/test-v0", "my:Env-v0").environment == "my:Env-v0"
    assert MinariEpisodes("pendulum/test-v0", "").environment == ""
    with pytest.raises(ValueError, match="'no/such-v0' is not on this machine; run minari"):
        MinariEpisodes("no/such-v0").read()
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ValueError, match="MinariEpisodes needs the package minari; pip install"):
        source.read()


def test_minari_episodes_without_end_are_left_out(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "minari", FakeMinari(cut=(1,)))
    assert_holds(MinariEpisodes("pendulum/test-v0").read(), [PARTS[0], PARTS[2]])
    assert "'pendulum/test-v0': episode 1 has no end" in capsys.readouterr().err


def nan(episode):
    episode.rewards = np.array([np.nan])


def spread(episode):
    episode.observations = {"position": episode.observations}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nan, r"'pendulum/test-v0': rewards\[0\] \(episode 1, step 0\) is NaN"),
        (spread, "'pendulum/test-v0': observations of episode 1 are a dict, not one array"),
    ],
)
def test_mistakes_in_minari_data_sets_get_one_sentence(change, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", FakeMinari(change=change))
    with pytest.raises(ValueError, match=message):
        MinariEpisodes("pendulum/test-v0").read()


@pytest.mark.filterwarnings("ignore:.*is set to None")  # of what a published set should name
def test_minari_itself_agrees(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    import gymnasium
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = [
        EpisodeBuffer(
            id=k,
            observations=list(np.full((steps + 1, 4), k, np.float32)),
            actions=list(np.arange(steps) % 2),
            rewards=[float(k)] * steps,
            terminations=[False] * (steps - 1) + [True],
            truncations=[False] * steps,
            infos={},
        )
        for k, steps in enumerate((3, 2, 5))
    ]
    environment = gymnasium.make("CartPole-v1")
    minari.create_dataset_from_buffers("cartpole/test-v0", buffers, env=environment)
    source = MinariEpisodes("cartpole/test-v0")
    episodes = source.read()
    assert source.environment == "CartPole-v1"
    assert episodes.length.tolist() == [3, 2, 5]
    assert episodes.observation[:, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert episodes.action.tolist() == [0, 1, 0, 0, 1, 0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match="minari download"):
        MinariEpisodes("cartpole/none-v0").read()
