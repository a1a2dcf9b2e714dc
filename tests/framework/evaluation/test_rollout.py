"""Episodes in lock-step against a plain loop, and which steps a policy sees of them."""

import gymnasium
import numpy as np
import pytest
import torch

from components.data import EpisodeBatch, TrajectorySpec
from components.supports import Interval, Tokens
from framework.evaluation.rollout import play
from tests.ranks import run_ranks

PENDULUM = TrajectorySpec(
    support=Interval(-2.0, 2.0, (1,)),
    observation=(3,),
    length=4,
    horizon=200,
    environment="Pendulum-v1",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)
EPISODES = EpisodeBatch(torch.tensor([3, 8]), torch.tensor([-200.0, -900.0]))


def policy(window, uniform):
    """Uses all that a policy may see, so that an error in any of it changes the return."""
    known = window.mask.float()
    seen = (window.observation[..., 1] * known).sum(1) + 0.3 * (window.action[..., 0] * known).sum(
        1
    )
    asked = (window.return_to_go * known).sum(1) / 300
    clock = (window.time * known).sum(1) / 100
    noise = uniform[:, 0] - 0.5
    return torch.tanh(seen + asked + clock + noise)[:, None] * 2


def plainly(seed, asked, steps):
    """Plays one episode; the window is rebuilt from the whole history at each step."""
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=seed)
    rng = np.random.default_rng(seed)
    total, sines, actions, asks = 0.0, [], [], []
    for time in range(steps):
        sines.append(observation[1])
        asks.append(asked - total)
        window = range(max(0, time - 3), time + 1)
        seen = sum(sines[t] for t in window) + 0.3 * sum(actions[t] for t in window if t < time)
        value = (
            seen
            + sum(asks[t] for t in window) / 300
            + sum(window) / 100
            + np.float32(rng.random(1))[0]
            - 0.5
        )
        actions.append(2 * float(np.tanh(value)))
        observation, reward, terminated, truncated, _ = environment.step(np.float32(actions[-1:]))
        total += float(reward)
        if terminated or truncated:
            break
    return total


def test_lock_step_equals_a_plain_loop():
    spec = PENDULUM
    expected = [plainly(3, -200.0, 30), plainly(8, -900.0, 30)]
    spec = TrajectorySpec(**{**vars(PENDULUM), "horizon": 30})
    torch.testing.assert_close(
        play(policy, spec, EPISODES).returns, torch.tensor(expected), rtol=1e-3, atol=1e-2
    )


def test_an_episode_depends_on_its_seed_alone():
    spec = TrajectorySpec(**{**vars(PENDULUM), "horizon": 20})
    together = play(policy, spec, EPISODES).returns
    apart = [play(policy, spec, EpisodeBatch(*(x[k : k + 1] for x in EPISODES))) for k in (0, 1)]
    apart = [outcome.returns for outcome in apart]
    torch.testing.assert_close(together, torch.cat(apart))


def test_episodes_end_on_their_own():
    spec = TrajectorySpec(Tokens(2), (4,), 3, 500, "CartPole-v1", (0.0,) * 4, (1.0,) * 4)
    calls = []

    def left(window, uniform):
        assert window.time[:, -1].eq(window.time[0, -1]).all()
        calls.append((int(window.time[0, -1]), len(uniform)))
        return torch.zeros(len(uniform), dtype=torch.int64)

    seeds = torch.arange(6)
    returns, steps, ends = play(left, spec, EpisodeBatch(seeds, torch.zeros(6)))
    lengths = []
    for seed in range(6):
        environment = gymnasium.make("CartPole-v1")
        environment.reset(seed=seed)
        over = False
        lengths.append(0.0)
        while not over:
            over = environment.step(0)[2]
            lengths[-1] += 1
    assert returns.tolist() == steps.tolist() == lengths
    assert ends == ["terminated"] * 6
    going = [(time, sum(time < length for length in lengths)) for time in range(500)]
    assert calls == [call for call in going if call[1]]


def test_what_was_done_lies_within_the_bounds():
    spec, seen = TrajectorySpec(**{**vars(PENDULUM), "horizon": 6}), []

    def wild(window, uniform):
        seen.append(window.action[:, :-1].clone())
        return torch.full((2, 1), 7.0)

    def full(window, uniform):
        return torch.full((2, 1), 2.0)

    played = [play(policy, spec, EPISODES) for policy in (wild, full)]
    torch.testing.assert_close(played[0].returns, played[1].returns)
    assert played[0].ends == ["horizon"] * 2
    assert seen[-1].unique().tolist() == [2.0]


def test_returns_are_summed_in_single_precision():
    spec = TrajectorySpec(Tokens(2), (4,), 3, 500, "CartPole-v1", (0.0,) * 4, (1.0,) * 4)

    def balance(window, uniform):
        gains = torch.tensor([0.1, 0.3, 3.0, 1.0])
        return (window.observation[:, -1] @ gains > 0).long()

    asked = torch.tensor([500.0], dtype=torch.bfloat16)  # which cannot count beyond 256
    assert play(balance, spec, EpisodeBatch(torch.tensor([1]), asked)).returns.tolist() == [500.0]


def test_missing_environment_is_one_sentence():
    spec = TrajectorySpec(**{**vars(PENDULUM), "environment": "Nowhere-v0"})
    with pytest.raises(ValueError, match=r"'Nowhere-v0' cannot be made .*as in module:Nowhere-v0"):
        play(policy, spec, EPISODES)


def test_environments_are_closed_where_a_later_one_cannot_be_made():
    events = []

    class Kept(gymnasium.Env):
        def __init__(self, k):
            if k == 2:
                raise OSError("no licence is left")
            self.k = k

        def close(self):
            events.append(self.k)

    four = EpisodeBatch(torch.arange(4), torch.zeros(4))
    with pytest.raises(OSError, match="no licence is left"):
        play(policy, PENDULUM, four, environment=Kept)
    assert sorted(events) == [0, 1]


def one_rank():
    """Plays a short or a long episode; returns how often the policy was called, and the return."""
    torch.distributed.init_process_group("gloo")
    calls = 0

    def left(window, uniform):
        nonlocal calls
        calls += 1
        return torch.zeros(len(uniform), dtype=torch.int64)

    def agree(done):
        votes = torch.tensor(float(done))
        torch.distributed.all_reduce(votes)
        return bool(votes == 2)

    spec = TrajectorySpec(Tokens(2), (4,), 3, 500, "CartPole-v1", (0.0,) * 4, (1.0,) * 4)
    episode = EpisodeBatch(torch.tensor([7 * torch.distributed.get_rank()]), torch.zeros(1))
    returns = play(left, spec, episode, agree).returns
    torch.distributed.destroy_process_group()
    return calls, float(returns)


def test_ranks_make_the_same_number_of_forward_passes():
    calls, lengths = zip(*run_ranks(one_rank, 2), strict=True)
    assert lengths[0] != lengths[1], "the episodes must differ for this to test anything"
    assert calls == (max(lengths), max(lengths))


@pytest.mark.parametrize(("length", "reread"), [(1, 1), (4, 1), (4, 3), (5, 5), (30, 1)])
def test_a_full_window_loses_as_many_steps_as_asked_for(length, reread):
    spec = TrajectorySpec(**{**vars(PENDULUM), "length": length, "horizon": 15})
    contexts = []

    def still(window, uniform):
        assert window.mask.all()
        contexts.append(window.time.tolist())
        return torch.zeros(2, 1)

    play(still, spec, EPISODES, reread=reread)
    begin = 0
    for time, context in enumerate(contexts):
        if time + 1 - begin > length:
            begin += reread
        assert context == [list(range(begin, time + 1))] * 2
    assert len(contexts) == 15


@pytest.mark.parametrize("reread", [0, 5])
def test_a_full_window_loses_some_steps(reread):
    with pytest.raises(ValueError, match=f"play: reread={reread} is out of range; windows have 4"):
        play(policy, PENDULUM, EPISODES, reread=reread)
