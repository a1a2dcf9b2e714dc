"""Episodes of a checkpoint: returns by target, named scores, films, files, and what is refused."""

import statistics

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cli
import framework
from components.data import EpisodeBatch
from framework.console.errors import UserError
from framework.evaluation.rollout import play as roll_out
from framework.modules.loading import load_module
from framework.playing import PlayedEpisodes
from framework.playing.verbs.play import run
from tests.framework.modules.parts import train
from tests.framework.modules.test_decision import CARTPOLE, data, model


class Squares(gymnasium.Env):
    """Lasts as many steps as the seed says; pays 2 a step; draws a square of 16 pixels."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 # as gymnasium
    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        self.left = 4 + seed
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.full(4, 0.1 * action, np.float32), 2.0, self.left == 0, False, {}

    def render(self):
        return np.full((16, 16, 3), 10 * self.left, np.uint8)


gymnasium.register("overtone-tests/Squares-v0", Squares)
SQUARES = "overtone-tests/Squares-v0"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of a policy for CartPole that was trained for two steps."""
    path = tmp_path_factory.mktemp("policy") / "policy.ckpt"
    module = model(CARTPOLE)
    train(module, data(CARTPOLE))
    module.trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_module(checkpoint)


def test_each_target_return_gets_a_row_with_its_spread(checkpoint):
    played = framework.play(checkpoint, returns=[40.0, 20.0], episodes=3, seed=5, expert=500.0)
    rows = played.episodes
    assert rows.target_return.tolist() == [40.0] * 3 + [20.0] * 3
    assert rows.seed.tolist() == [5, 6, 7] * 2
    assert set(rows.end) <= {"terminated", "horizon"}
    summary = played.summary()
    assert summary.target_return.tolist() == [40.0, 20.0]
    for target, mean, deviation in zip(
        *summary[["target_return", "return", "return_std"]].to_numpy().T, strict=True
    ):
        returns = rows["return"][rows.target_return == target].tolist()
        assert mean == pytest.approx(statistics.mean(returns))
        assert deviation == pytest.approx(statistics.stdev(returns))
    np.testing.assert_allclose(rows.score_random_to_data, rows["return"] - 22)
    np.testing.assert_allclose(rows.score_random_to_expert, (rows["return"] - 22) / 4.78)
    assert played.references == {"random": 22, "data": 122, "expert": 500}


def test_episodes_do_not_depend_on_the_batch(checkpoint):
    whole, single = (
        framework.play(checkpoint, returns=30, episodes=3, batch_size=size).episodes
        for size in (32, 2)
    )
    pd.testing.assert_frame_equal(whole, single)


def test_one_episode_is_played_by_columns_of_the_matrices(checkpoint, monkeypatch):
    for episodes, some in ((3, False), (1, True)):
        module = load_module(checkpoint)
        monkeypatch.setattr("framework.playing.episodes.load_module", lambda *_, m=module: m)
        framework.play(checkpoint, returns=30, episodes=episodes)
        assert all(matrix.is_contiguous() for matrix in module.parameters()) != some


@pytest.mark.parametrize("options", [{}, {"reread": 3}])
def test_episodes_are_those_of_the_model(checkpoint, options):
    module = model(CARTPOLE)
    module.configure_model()
    module.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    batch = EpisodeBatch(torch.tensor([0, 1]), torch.tensor([30.0, 30.0]))
    expected = roll_out(module.eval().policy(), CARTPOLE, batch, **options)
    rows = framework.play(checkpoint, returns=30, episodes=2, **options).episodes
    assert rows["return"].tolist() == expected.returns.tolist()
    assert rows.steps.tolist() == expected.steps.tolist()


def test_another_environment_has_references_of_its_own(checkpoint, tmp_path):
    played = framework.play(
        checkpoint, SQUARES, returns=[1, 2], episodes=2, video=tmp_path / "films", seed=3
    )
    assert played.references.keys() == {"random"}, "the data are from elsewhere"
    assert played.references["random"] == pytest.approx(
        2 * np.mean([min(4 + k, 30) for k in range(32)])
    )
    assert played.episodes["return"].tolist() == [14.0, 16.0] * 2
    assert played.episodes.end.tolist() == ["terminated"] * 4
    films = sorted(path.name for path in (tmp_path / "films").iterdir())
    assert films == ["return_1_seed_3.gif", "return_2_seed_3.gif"]
    with Image.open(tmp_path / "films" / films[0]) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (8, (16, 16), 50)
        shades = []
        for frame in range(8):
            film.seek(frame)
            shades.append(film.convert("RGB").getpixel((3, 3))[0])
    np.testing.assert_allclose(shades, np.arange(70, -10, -10), atol=4)
    with pytest.raises(ValueError, match=r"film '.*return_1_seed_3.gif' exists already; choose"):
        framework.play(checkpoint, SQUARES, 1, 2, tmp_path / "films", 3)


@pytest.mark.slow
def test_what_was_played_before_an_interruption_is_written(checkpoint, tmp_path, capsys):
    output = tmp_path / "episodes.csv"
    options = {"returns": 1, "episodes": 4, "batch_size": 1, "seed": 100}
    whole = framework.play(checkpoint, SQUARES, **options).episodes

    class Stopped(Squares):
        def reset(self, *, seed=None, options=None):
            if seed == 102:
                raise KeyboardInterrupt
            return super().reset(seed=seed)

    gymnasium.register("overtone-tests/Stopped-v0", Stopped)
    with pytest.raises(KeyboardInterrupt):
        framework.play(
            checkpoint, "overtone-tests/Stopped-v0", **options, expert=99, output=output
        )
    kept = pd.read_csv(output).drop(columns="score_random_to_expert")
    pd.testing.assert_frame_equal(kept, whole[:2], check_dtype=False)
    assert "2 of 4 episodes were played to their end" in capsys.readouterr().err


def test_the_table_names_its_references():
    rows = [("20", 4.0), ("20", 8.0), ("35.5", 10.0)]
    episodes = pd.DataFrame(
        {
            "target_return": [float(target) for target, _ in rows],
            "return": [value for _, value in rows],
            "steps": [10, 20, 30],
            "score_random_to_data": [value * 10 for _, value in rows],
        }
    )
    table = PlayedEpisodes("Any-v0", episodes, {"random": 0.0, "data": 10.0}).table()
    assert table == [
        ["target return", "return", "n", "steps", "score (random 0, data 100)"],
        ["20", "6.0 ± 2.8", "2", "15", "60 ± 28"],
        ["35.5", "10", "1", "30", "100"],
        ["random", "0", "", "", "0"],
        ["data", "10", "", "", "100"],
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_verb_prints_a_row_a_target_and_writes_one_an_episode(
    suffix, checkpoint, tmp_path, capsys
):
    output = tmp_path / f"episodes.{suffix}"
    words = ["--returns", "-20,40", "--episodes", "2", "--output", str(output)]
    run([str(checkpoint), *words], "overtone")
    shown = capsys.readouterr().out
    assert "CartPole-v1, 2 episodes for each target return" in shown
    starts = [line.split()[0] for line in shown.splitlines() if line[:1] not in ("", "─", "/")]
    assert starts[1:] == ["target", "-20", "40", "random", "data"]
    assert "score (random 0, data 100)" in shown
    read = (pd.read_csv if suffix == "csv" else pd.read_parquet)(output)
    again = framework.play(checkpoint, returns=[-20, 40], episodes=2).episodes
    pd.testing.assert_frame_equal(read, again, check_dtype=False)
    with pytest.raises(UserError, match="exists already; choose another name"):
        run([str(checkpoint), *words], "overtone")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "does not say which returns to ask for"),
        ({"returns": []}, "must be finite numbers"),
        ({"returns": [3, 3]}, "The target return 3 is given twice"),
        ({"returns": 3, "episodes": 0}, "play: episodes=0 is too small; use at least 1"),
        ({"returns": 3, "batch_size": 0}, "play: batch_size=0 is too small"),
        ({"returns": 3, "seed": -1}, "play: seed=-1 is no seed"),
        ({"returns": 3, "expert": 22.0}, "expert=22.0 is what random actions reach"),
        ({"returns": 3, "expert": float("nan")}, "expert=nan is no mean return"),
        ({"returns": 3, "environment": "Pendulum-v1"}, "Pendulum-v1 has observations of shape"),
        ({"returns": 3, "environment": "my/Hall-v0"}, "as in module:my/Hall-v0"),
        ({"returns": 3, "video": __file__}, "is a file; name a folder"),
    ],
)
def test_mistakes_are_found_before_the_first_episode(options, message, loaded, monkeypatch):
    monkeypatch.setattr("framework.playing.episodes.load_module", lambda path: loaded)
    monkeypatch.setattr("framework.playing.episodes.rollout.play", None)
    with pytest.raises(ValueError, match=message):
        framework.play("policy.ckpt", **options)


def test_other_models_do_not_act(tmp_path, monkeypatch):
    from framework.playing import episodes

    monkeypatch.setattr(episodes, "load_module", lambda path: torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"'x.ckpt' is of a Linear, which does not act; play one"):
        framework.play("x.ckpt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["play"], "play takes one checkpoint, got 0; write `play CHECKPOINT`, then options"),
        (["play", "a.ckpt", "--returns", "many"], "returns: expected float or list"),
        (["play", "a.ckpt", "--output", "a.txt"], "a.txt must end in .parquet or .csv"),
        (["play", "a.ckpt"], "There is no checkpoint 'a.ckpt'"),
    ],
)
def test_mistakes_on_the_command_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
