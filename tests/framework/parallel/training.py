"""Trains small language models on several processes, however these divide the work."""

from functools import partial

import torch
from lightning.pytorch import seed_everything
from torch import nn

from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.layers.fan import FanLayer
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned
from components.supports import Tokens
from framework.callbacks.step_seed import StepSeed
from framework.checkpoint_io import DurableCheckpointIO
from framework.execution import PLAIN
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import trainer, whole
from tests.framework.modules.parts import FixedData
from tests.framework.modules.test_tied import model
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(11), 8)
FANFORMER = partial(
    Decoder,
    dim=16,
    depth=2,
    heads=4,
    kv_heads=2,
    projection=partial(FanLayer, activation=nn.Identity),
    qk_norm=RMSNorm,
    feedforward=SwiGLU,
)
GPT = partial(
    Decoder,
    dim=16,
    depth=2,
    heads=4,
    bias=True,
    feedforward=partial(FeedForward, bias=True),
    norm=LayerNorm,
    positions=partial(Learned, length=16),
)
# For four processes, each of which takes long for every parameter, whatever its size.
FANFORMER_BLOCK, GPT_BLOCK = partial(FANFORMER, depth=1), partial(GPT, depth=1)


def batch():
    """Makes six windows of eight tokens."""
    tokens = torch.arange(54).square().reshape(6, 9) % 11
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(6, 8))


def train(processes=1, steps=3, folder=None, ckpt_path=None, changes=None, **options):
    """Takes clipped steps in float64, where a difference is one of the method."""
    torch.set_default_dtype(torch.float64)
    seed_everything(1, verbose=False)
    settings = {"max_steps": steps, "max_epochs": 4, "gradient_clip_val": 0.05}
    how = {"strategy": FullyShardedStrategy(**options)} if options else {}
    plugins = [] if options else [DurableCheckpointIO()]
    runner = trainer(devices=processes, callbacks=[StepSeed()], plugins=plugins, **settings, **how)
    changes = {"spec": SPEC, "backbone": FANFORMER, **(changes or {})}
    module = model(tied="bias" not in changes["backbone"].keywords, **changes)
    alike = options.get("tensor_parallel_size", 1) * options.get("context_parallel_size", 1)
    size = 6 * alike // processes  # an epoch is one batch
    runner.fit(module, FixedData(batch(), size=size), ckpt_path=ckpt_path, weights_only=True)
    if folder is not None:
        runner.save_checkpoint(folder / "file.ckpt")
        runner.strategy._save_distributed_checkpoint = True
        runner.save_checkpoint(folder / "folder")
    return {**whole(module), "loss": runner.callback_metrics["train/loss"]}


def close(found, expected):
    """Fails unless weights and loss are equal."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-11, msg=name)


def same(processes, options, backbone=FANFORMER, execution=PLAIN):
    """Fails unless each of several processes ends with the weights and the loss of one."""
    changes = {"backbone": backbone, "execution": execution}
    (alone,) = run_ranks(lambda: train(changes={"backbone": backbone}), 1)
    for rank in run_ranks(lambda: train(processes, changes=changes, **options), processes):
        close(rank, alone)
