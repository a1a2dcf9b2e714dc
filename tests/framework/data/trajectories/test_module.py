import math
import pickle

import numpy as np
import pytest
import torch

from components.supports import Interval, Tokens
from framework.data.trajectories.controllers import Pendulum
from framework.data.trajectories.episodes import Episodes, EpisodeSource, returns_to_go
from framework.data.trajectories.module import TrajectoryData


class Fixed(EpisodeSource):
    """Episodes that a test made."""

    def __init__(self, episodes, environment="", name="fixed"):
        self.episodes, self.environment, self.name = episodes, environment, name

    def key(self):
        return {"test": self.name}

    def read(self):
        return self.episodes


def made(lengths=(7, 3, 12, 1, 8, 5), observation=(2,), action=(), seed=0):
    """Episodes whose steps can be identified: observations count them in a component."""
    rng = np.random.default_rng(seed)
    steps = sum(lengths)
    seen = rng.normal(size=(steps, *observation))
    seen.reshape(steps, -1)[:, 0] = np.arange(steps)
    done = rng.normal(size=(steps, *action)) if action else rng.integers(4, size=steps)
    return Episodes(seen, done, rng.normal(size=steps), np.array(lengths))


def everything(dataset):
    return dataset.__getitems__(list(range(len(dataset))))


def brute_force(episodes, episode, end, fresh, span):
    """One window by a loop over its steps."""
    start = int(sum(episodes.length[:episode]))
    reward = episodes.reward[start : start + episodes.length[episode]]
    rows = []
    for step in range(end - span, end):
        if step < 0:
            zeros = np.zeros(episodes.observation.shape[1:])
            rows.append((zeros, np.zeros(episodes.action.shape[1:]), 0.0, 0, False, 0.0))
        else:
            at = start + step
            seen, done = episodes.observation[at], episodes.action[at]
            rows.append((seen, done, sum(reward[step:]), step, True, float(step >= fresh)))
    return [np.stack(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("action", [(), (2,)])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_windows_equal_a_loop(split, action):
    span, episodes = 4, made(action=action)
    data = TrajectoryData(Fixed(episodes), length=span, holdout=0.34)
    expected = []
    for episode in data.archive.split[split]:
        n = int(episodes.length[episode])
        if split == "train":
            windows = [(end, 0) for end in range(1, n + 1)]
        else:
            windows = [(min(begin + span, n), begin) for begin in range(0, n, span)]
        expected += [brute_force(episodes, episode, *window, span) for window in windows]
    batch = everything(data.dataset(split))
    assert len(batch.time) == len(expected)
    fields = (*batch[:5], batch.weight)
    for k, columns in enumerate(expected):
        for got, wanted in zip(fields, columns, strict=True):
            np.testing.assert_allclose(got[k], wanted, rtol=1e-6)
    assert torch.equal(batch.target, batch.action)
    assert batch.action.dtype == (torch.float32 if action else torch.int64)
    order = torch.randperm(len(expected)).tolist()
    shuffled = data.dataset(split).__getitems__(order)
    assert all(torch.equal(a, b[order]) for a, b in zip(shuffled, batch, strict=True))


@pytest.mark.parametrize("span", [1, 3, 5, 40])
def test_evaluation_predicts_every_step_once_and_training_never(span):
    episodes = made(lengths=(9, 4, 6, 5, 11, 3, 8, 2))
    data = TrajectoryData(Fixed(episodes), length=span, holdout=0.25)
    steps = {}
    for split in ("train", "val", "test"):
        batch = everything(data.dataset(split))
        counted = batch.observation[..., 0][batch.weight > 0].int().tolist()
        steps[split] = set(counted)
        assert split == "train" or len(counted) == len(steps[split])
    assert set.union(*steps.values()) == set(range(48))
    assert sum(map(len, steps.values())) == 48


def test_the_held_out_episodes_do_not_depend_on_the_seed_of_training():
    splits = [TrajectoryData(Fixed(made()), seed=seed).archive.split for seed in (0, 1)]
    for split in splits[0]:
        np.testing.assert_array_equal(splits[0][split], splits[1][split])


def test_returns_to_go_equal_a_loop():
    episodes = made()
    got = returns_to_go(episodes.reward, episodes.length)
    start = 0
    for n in episodes.length:
        for step in range(start, start + n):
            assert got[step] == pytest.approx(sum(episodes.reward[step : start + n]))
        start += n


def test_spec_measures_the_training_episodes():
    episodes = made(observation=(2, 3), action=(2,))
    episodes.observation[:, 1, 1] = 5.0
    data = TrajectoryData(Fixed(episodes), length=4, holdout=0.2)
    first = np.cumsum(episodes.length) - episodes.length
    chosen = [slice(first[k], first[k] + episodes.length[k]) for k in data.archive.split["train"]]
    seen = np.concatenate([episodes.observation[part].reshape(-1, 6) for part in chosen])
    returns = np.array([episodes.reward[part].sum() for part in chosen])
    std = seen.std(0)
    std[4] = 1.0  # it never varies
    spec = data.spec
    np.testing.assert_allclose(spec.mean, seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(spec.std, std, rtol=1e-5)
    assert spec.data_return == pytest.approx(returns.mean(), rel=1e-5)
    assert spec.return_scale == pytest.approx(np.abs(returns).mean(), rel=1e-5)
    assert spec.target_returns == data.target_returns
    assert data.target_returns == pytest.approx((np.quantile(returns, 0.9),), rel=1e-5)
    assert (spec.observation, spec.horizon, spec.length) == ((2, 3), 12, 4)
    assert math.isnan(spec.random_return)
    low, high = episodes.action.min(), episodes.action.max()
    assert spec.support == Interval(np.float32(low).item(), np.float32(high).item(), (2,))
    assert TrajectoryData(Fixed(made(), name="choices")).spec.support == Tokens(4)


def test_frames_stay_bytes():
    episodes = made()
    frames = np.random.default_rng(0).integers(256, size=(36, 3, 5, 4)).astype(np.uint8)
    data = TrajectoryData(Fixed(episodes._replace(observation=frames)), length=4)
    batch = everything(data.dataset("train"))
    assert batch.observation.dtype == torch.uint8
    assert data.spec.observation == (3, 5, 4)
    assert (data.spec.mean, data.spec.std) == ((0.0,), (255.0,))


def test_a_worker_gets_the_place_of_the_steps_and_not_the_steps():
    episodes = made(lengths=(5_000,) * 4, observation=(8,))
    dataset = TrajectoryData(Fixed(episodes)).dataset("train")
    stored = pickle.dumps(dataset)
    assert len(stored) < 5_000
    again = pickle.loads(stored).__getitems__([3, 7_000])
    assert torch.equal(again.observation, dataset.__getitems__([3, 7_000]).observation)


def test_evaluation_plays_episodes_of_its_own():
    data = TrajectoryData(Pendulum(steps=1_000), episodes=5, batch_size=2)
    windows, played = data.val_dataloader()
    assert sum(len(batch.time) for batch in windows) == len(data.dataset("val"))
    batches = list(played)
    asked = data.target_returns
    seeds = {split: data.seeds(split, asked).seeds for split in ("val", "test", "predict")}
    assert torch.cat([b.seed for b in batches]).tolist() == list(seeds["val"])
    assert len(set().union(*seeds.values())) == 15
    assert all(b.return_to_go.eq(asked[0]).all() for b in batches)
    (batch,) = TrajectoryData(
        data.source, episodes=5, target_return=-7.0, eval_batch_size=8
    ).predict_dataloader()
    assert batch.return_to_go.tolist() == [-7.0] * 5
    assert batch.seed.dtype == torch.int64


def test_each_target_return_gets_the_same_episodes():
    data = TrajectoryData(Pendulum(steps=600), episodes=3, target_return=[-7.0, -90, -300.5])
    assert data.spec.target_returns == (-7.0, -90.0, -300.5)
    _, *played = data.val_dataloader()
    asked = [torch.cat([batch.return_to_go for batch in loader]).tolist() for loader in played]
    assert asked == [[-7.0] * 3, [-90.0] * 3, [-300.5] * 3]
    seeds = [torch.cat([batch.seed for batch in loader]).tolist() for loader in played]
    assert seeds[0] == seeds[1] == seeds[2]
    (batch,) = data.predict_dataloader()
    assert batch.return_to_go.tolist() == [target for several in asked for target in several]
    assert batch.seed.reshape(3, 3).unique(dim=0).shape == (1, 3)


def test_without_an_environment_there_is_nothing_to_play():
    data = TrajectoryData(Fixed(made()))
    assert len(data.test_dataloader()) == 1
    with pytest.raises(ValueError, match="Fixed names no environment to play in"):
        data.predict_dataloader()


def nan_seen(episodes):
    episodes.observation[8, 1] = np.nan
    return episodes


@pytest.mark.parametrize(
    ("episodes", "environment", "message"),
    [
        (made()._replace(action=np.zeros(35)), "", "differ in length .*action has 35"),
        (made(lengths=(4, 0, 3)), "", "an episode without steps"),
        (nan_seen(made()), "", "The observation of episode 1 at step 1 is NaN or infinite"),
        (made(lengths=(4, 3)), "", "Fixed: 2 episodes cannot be split .* give at least 3"),
        (made(), "Pendulum-v99", "The environment 'Pendulum-v99' cannot be made"),
        (made(observation=(4,)), "Pendulum-v1", r"shape \(4,\), those of Pendulum-v1 \(3,\)"),
        (
            made(observation=(3,)),
            "Pendulum-v1",
            "actions are int64 .* do not fit Box.*float32. of Pendulum-v1",
        ),
        (
            made(observation=(4,)),
            "CartPole-v1",
            r"action 2 at step 0 of episode 0 lies outside Discrete\(2\) of",
        ),
        (made(observation=(3,), action=(1,)), "Pendulum-v1", r"lies outside Box\(-2.0, 2.0"),
    ],
)
def test_mistakes_get_one_sentence(episodes, environment, message):
    with pytest.raises(ValueError, match=message) as caught:
        _ = TrajectoryData(Fixed(episodes, environment)).spec
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "TrajectoryData: length=0 is too small"),
        ({"episodes": 0}, "TrajectoryData: episodes=0 is too small"),
        ({"holdout": 0.5}, "TrajectoryData: holdout=0.5 is taken twice"),
        ({"target_return": []}, r"must be finite numbers, got \[\]; give one or several"),
        ({"target_return": [3.0, math.nan]}, r"must be finite numbers, got \[3.0, nan\]"),
        ({"target_return": [3, 20, 3.0]}, "target return 3 is given twice"),
    ],
)
def test_options_out_of_range_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        TrajectoryData(Pendulum(), **options)


class Filmed(Fixed):
    """Episodes of single frames of which some are seen together."""

    stack = 3


@pytest.mark.parametrize("split", ["train", "val"])
def test_stacked_frames_equal_a_loop(split):
    lengths = (7, 3, 12, 1, 8, 5)
    frames = np.random.default_rng(0).integers(1, 256, size=(36, 4, 5)).astype(np.uint8)
    episodes = made(lengths)._replace(observation=frames)
    data = TrajectoryData(Filmed(episodes), length=4)
    batch = everything(data.dataset(split))
    assert batch.observation.dtype == torch.uint8
    assert data.spec.observation == batch.observation.shape[2:] == (3, 4, 5)
    taken = {frame.tobytes(): step for step, frame in enumerate(frames)}
    starts = np.cumsum(lengths) - lengths
    for window, mask in zip(batch.observation.numpy(), batch.mask, strict=True):
        assert not window[~mask.numpy()].any()
        for stack in window[mask.numpy()]:
            step = taken[stack[-1].tobytes()]
            begin = max(start for start in starts if start <= step)
            past = [t for t in range(step - 2, step + 1) if t >= begin]
            np.testing.assert_array_equal(stack[3 - len(past) :], frames[past])
            assert not stack[: 3 - len(past)].any()


def test_frames_are_stored_once():
    frames = np.ones((36, 4, 5), np.uint8)
    data = TrajectoryData(Filmed(made()._replace(observation=frames), name="once"))
    assert data.archive.mapped("observation").array.nbytes == frames.nbytes
    assert len(pickle.dumps(data.dataset("train"))) < 5_000


def test_episodes_that_are_played_may_be_cut():
    whole, cut = (TrajectoryData(Pendulum(steps=600), horizon=horizon) for horizon in (None, 5))
    assert (whole.spec.horizon, cut.spec.horizon) == (200, 5)
    assert whole.spec.longest == cut.spec.longest == 200
    assert cut.spec.random_return > whole.spec.random_return / 20  # of rewards that are negative
