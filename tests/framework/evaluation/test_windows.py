"""Windows that move on, against embedding all of them every time."""

import pytest
import torch

from components.backbones.decoder import Decoder
from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.stems import ConvObservation, TrajectoryStem
from components.supports import Tokens
from framework.evaluation.rollout import play
from framework.evaluation.windows import MovingWindow

CARTPOLE = TrajectorySpec(Tokens(2), (4,), 5, 14, "CartPole-v1", (0.0,) * 4, (1.0,) * 4, 9.0)
EPISODES = EpisodeBatch(torch.tensor([3, 8]), torch.tensor([20.0, 90.0]))


class Whole(TrajectoryStem):
    """Does not tell that its states depend on little."""

    reach = None


def hidden_states(stem, backbone, spec):
    """What a backbone makes of every window while episodes are played."""
    embed, hidden = MovingWindow(stem), []

    def policy(window, uniform):
        hidden.append(stem.readout(backbone(embed(window)))[:, -1])
        return (window.observation[:, -1, 2] + uniform > 0.5).long()

    play(policy, spec, EPISODES)
    return torch.stack(hidden)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 20])
def test_hidden_states_are_those_of_whole_windows(length):
    spec = TrajectorySpec(**{**vars(CARTPOLE), "length": length})
    torch.manual_seed(0)
    stem, whole, backbone = TrajectoryStem(8, spec), Whole(8, spec), Decoder(8, 1, 2)
    whole.load_state_dict(stem.state_dict())
    expected = hidden_states(whole, backbone, spec)
    assert len(expected) > 5
    torch.testing.assert_close(hidden_states(stem, backbone, spec), expected, rtol=1e-5, atol=1e-6)


def test_an_image_is_encoded_twice():
    spec = TrajectorySpec(Tokens(3), (1, 36, 36), 6, 9, "", (0.0,), (255.0,))
    stem, sizes = TrajectoryStem(8, spec, observation=ConvObservation), []
    stem.observation.register_forward_hook(lambda module, inputs, out: sizes.append(len(out[0])))
    steps = torch.zeros(1, 6)
    images = torch.zeros(1, 6, 1, 36, 36, dtype=torch.uint8)
    action, known = steps.long(), steps.bool()
    embed = MovingWindow(stem)
    for _ in range(4):
        embed(TrajectoryBatch(images, action, steps, action, known, action, steps))
    assert sizes == [6, 2, 2, 2]
