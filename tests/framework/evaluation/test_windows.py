"""Hidden states of windows that move on against reading each window alone."""

from functools import partial

import pytest
import torch

from components.backbones.decoder import Decoder
from components.backbones.positionwise import MLP
from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.layers.positions import Learned
from components.stems import ConvObservation, TrajectoryStem
from components.supports import Tokens
from framework.evaluation.rollout import play
from framework.evaluation.windows import WindowReader

CARTPOLE = TrajectorySpec(Tokens(2), (4,), 5, 24, "CartPole-v1", (0.0,) * 4, (1.0,) * 4, 9.0)
POLES = EpisodeBatch(torch.tensor([3, 8, 1]), torch.tensor([20.0, 90.0, 50.0]))


class Whole(TrajectoryStem):
    """Does not declare that its states depend on few steps."""

    reach = None


def deviations(stem, backbone, spec, reread=1):
    """Plays, and compares each hidden state with that of reading its window alone."""
    read, found = WindowReader(stem, backbone, spec.length), []

    def policy(window, uniform):
        alone = stem.readout(backbone(stem(window)))[:, -1]
        found.append((read(window) - alone).abs().max() / alone.abs().max())
        return (window.observation[:, -1, 2] + uniform > 0.5).long()

    steps = play(policy, spec, POLES, reread=reread).steps
    assert len(steps.unique()) > 1, "no episode left the others"
    return torch.stack(found)


@pytest.mark.parametrize(
    ("length", "reread", "returns", "backbone"),
    [
        (1, 1, "token", Decoder),
        (2, 2, "token", Decoder),
        (5, 1, "none", Decoder),
        (5, 2, "token", partial(Decoder, positions=partial(Learned, length=15))),
        (6, 4, "added", partial(Decoder, window=4)),
        (7, 7, "token", lambda dim, depth, heads: MLP(dim, depth)),
        (40, 1, "token", Decoder),
    ],
)
def test_hidden_states_are_those_of_each_window_alone(length, reread, returns, backbone):
    spec = TrajectorySpec(**{**vars(CARTPOLE), "length": length})
    torch.manual_seed(0)
    stem, made = TrajectoryStem(8, spec, returns=returns), backbone(dim=8, depth=3, heads=2)
    for parameter in made.parameters():
        parameter.data.mul_(3)  # so that a step matters to the others
    assert (deviations(stem, made, spec, reread) < 1e-5).all()


def test_a_stem_of_unknown_reach_is_read_whole():
    torch.manual_seed(0)
    assert (deviations(Whole(8, CARTPOLE), Decoder(8, 2, 2), CARTPOLE, 3) < 1e-5).all()


def test_only_what_is_new_is_read():
    spec = TrajectorySpec(**{**vars(CARTPOLE), "length": 6, "horizon": 10})
    stem, backbone, read = TrajectoryStem(8, spec), Decoder(8, 1, 2), []
    backbone.blocks[0].register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0][0])))
    reader = WindowReader(stem, backbone, spec.length)

    def policy(window, uniform):
        reader(window)
        return window.time[:, -1] % 2

    play(policy, spec, EpisodeBatch(torch.tensor([3]), torch.tensor([9.0])), reread=3)
    assert read == [2, 3, 3, 3, 3, 3, 3 * 4 - 1, 3, 3, 3 * 4 - 1]


def test_an_image_is_encoded_twice():
    spec = TrajectorySpec(Tokens(3), (1, 36, 36), 6, 9, "", (0.0,), (255.0,))
    stem, sizes = TrajectoryStem(8, spec, observation=ConvObservation), []
    stem.observation.register_forward_hook(lambda module, inputs, out: sizes.append(len(out[0])))
    steps = torch.zeros(1, 6)
    images = torch.zeros(1, 6, 1, 36, 36, dtype=torch.uint8)
    action, known = steps.long(), steps.bool()
    read = WindowReader(stem, Decoder(8, 1, 2), spec.length)
    for _ in range(4):
        read(TrajectoryBatch(images, action, steps, action, known, action, steps))
    assert sizes == [6, 2, 2, 2]
