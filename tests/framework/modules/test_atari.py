"""A policy learns from frames of a real game in DQN Replay files, and plays the game."""

import gzip
import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from components.heads.fourier import FourierHead
from components.stems import ConvObservation, TrajectoryStem
from framework.data import AtariEpisodes, AtariOrder, DqnReplay, RandomAtari, TrajectoryData
from framework.modules import DecisionModel
from tests.framework.modules.parts import options, train, trainer

pytest.importorskip("ale_py")

STEPS = 40  # of an episode


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """One buffer with five episodes of what happens in Seaquest."""
    folder = tmp_path_factory.mktemp("Seaquest") / "replay_logs"
    folder.mkdir()
    film = AtariEpisodes(RandomAtari("Seaquest", steps=1, seed=2)).read()
    columns = {
        "observation": film.observation,
        "action": film.action.astype(np.int32),
        "reward": film.reward.astype(np.float32),
        "terminal": np.arange(len(film.reward)) % STEPS == STEPS - 1,
    }
    for name, values in columns.items():
        values = values[: 5 * STEPS]
        stored = values.astype(np.uint8) if name == "terminal" else values
        with gzip.open(folder / f"$store$_{name}_ckpt.0.gz", "wb", compresslevel=1) as file:
            np.save(file, stored)
    return folder.parent


@pytest.mark.slow
def test_two_steps_episodes_and_a_checkpoint(logs, tmp_path, monkeypatch):
    monkeypatch.setenv("OVERTONE_CACHE", str(tmp_path / "cache"))
    source = DqnReplay(str(logs), "overtone/Seaquest-frames")
    data = TrajectoryData(
        source, length=4, episodes=2, order=AtariOrder(), horizon=6, batch_size=4
    )
    assert len(pickle.dumps(data.spec)) < 1_000  # it is part of every checkpoint
    stem = partial(TrajectoryStem, observation=ConvObservation, activation=torch.nn.Tanh)
    head = partial(FourierHead, frequencies=8)
    module = DecisionModel(**options(data.spec, stem, head))
    metrics = train(module, data, limit_val_batches=1)
    assert metrics["val/nll"] < 2 * math.log(18)
    assert metrics["val/return"] >= 0
    module.trainer.save_checkpoint(tmp_path / "played.ckpt")
    again = DecisionModel.load_from_checkpoint(tmp_path / "played.ckpt", weights_only=True)
    assert again.spec == data.spec
    batch = data.dataset("val").__getitems__([0, 1])
    assert batch.observation.shape == (2, 4, 4, 84, 84)
    torch.testing.assert_close(again.eval()(batch).probs, module.eval()(batch).probs)
    rows = [row for rows in trainer().predict(again, data) for row in rows]
    assert [row["seed"] for row in rows] == list(data.dataset("predict").seeds)
