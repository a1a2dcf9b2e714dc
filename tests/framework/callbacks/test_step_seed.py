"""What is drawn in a step depends on seed, step, micro-batch and rank, and on nothing else."""

from itertools import product

import torch
from lightning.pytorch import seed_everything

from framework.callbacks.step_seed import StepSeed
from tests.framework.modules import fakes
from tests.ranks import run_ranks


class Drawing(fakes.PredictiveModule):
    """Draws a number in each training step."""

    def on_fit_start(self) -> None:
        self.drawn: list[float] = []

    def training_step(self, batch, batch_idx):
        self.drawn.append(torch.rand(()).item())
        return super().training_step(batch, batch_idx)

    def on_train_batch_end(self, outputs, batch, batch_idx) -> None:
        torch.rand(batch_idx)  # whatever else draws


def draw(seed: int | None, world: int = 1, steps: int = 3) -> list[float]:
    seed_everything(4, verbose=False)
    model = Drawing(**fakes.options())
    settings = {"accumulate_grad_batches": 2, "max_steps": steps, "callbacks": [StepSeed(seed)]}
    strategy = "ddp" if world > 1 else "auto"
    fakes.trainer(devices=world, strategy=strategy, **settings).fit(model, fakes.data())
    return model.drawn


def test_numbers_differ_between_seeds_steps_micro_batches_and_ranks():
    first, second = run_ranks(draw, 2, 1, 2)
    everything = [*first, *second, *draw(2)]
    assert len(everything) == len(set(everything)) == 18


def test_numbers_do_not_depend_on_history():
    assert draw(1) == draw(1, steps=5)[:6] == run_ranks(draw, 2, 1, 2)[0]


def test_the_seed_is_that_of_the_run_unless_given():
    assert draw(None) == draw(4) != draw(5)


def test_neighboring_seeds_do_not_collide():
    # a sum of seed and step would make seed 1, step 0 equal to seed 0, step 1
    drawn = {draw(seed, steps=2)[k] for seed, k in product(range(3), range(4))}
    assert len(drawn) == 12
