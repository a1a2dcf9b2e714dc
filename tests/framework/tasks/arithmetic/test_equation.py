"""The model of equations: one that is right outside the hole only, and one with real parts."""

import math

import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.nn.functional import one_hot

from components.data import TokenBatch
from components.distributions.categorical import Categorical
from components.heads import LinearHead
from components.stems import TokenStem
from framework.evaluation.generation import Sampling
from framework.tasks.arithmetic import EquationData, EquationModel, ModularAddition, Square
from tests.framework.modules.parts import FixedData, options, train, trainer
from tests.ranks import run_ranks

SIZE, SIGN = 9, 9
HOLE = Square((4, 3), 1)
SURE = 6.0  # logit of what is said, against 0 of the other nine tokens
RIGHT = math.exp(SURE) / (math.exp(SURE) + 9)
WRONG = 1 / (math.exp(SURE) + 9)


def data(**changes):
    return EquationData(ModularAddition(SIZE), HOLE, **{"batch_size": 16, **changes})


TABLE = data().drawn()


def model(kind=EquationModel, **changes):
    return kind(**options(data().spec, TokenStem, LinearHead), **changes)


class CaseBased(EquationModel):
    """Knows what it has seen by heart, and is one too high elsewhere; trains nothing."""

    def forward(self, batch):
        first, second = batch.tokens[:, 0], batch.tokens[:, 1]
        wrong = (abs(first - 4) <= 1) & (abs(second - 3) <= 1)
        said = (first + second + wrong) % SIZE
        logits = SURE * one_hot(said, SIZE + 1).float()
        learned = 0 * sum(p.sum() for p in self.parameters())
        return Categorical(logits[:, None].expand(-1, 3, -1) + learned)


def test_hole_and_seen_are_told_apart():
    metrics = train(model(CaseBased), data())
    assert metrics["val/hole_accuracy"] == 0
    assert metrics["val/seen_accuracy"] == 1
    assert metrics["val/hole_nll"] == pytest.approx(-math.log(WRONG), rel=1e-6)
    assert metrics["val/seen_nll"] == pytest.approx(-math.log(RIGHT), rel=1e-5)
    mean = -(9 * math.log(WRONG) + 72 * math.log(RIGHT)) / 81
    assert metrics["val/nll"] == pytest.approx(mean, rel=1e-6)
    assert metrics["val/out_of_support"] == 0
    parts = {f"{part}_{name}" for part in ("hole", "seen") for name in ("nll", "accuracy")}
    found = {name.partition("/")[2] for name in metrics if name.startswith("val/")}
    assert found == {"nll", "out_of_support", *parts}


def test_a_test_looks_into_the_hole_alone():
    [metrics] = trainer().test(model(CaseBased), data(), verbose=False)
    names = ("nll", "out_of_support", "hole_nll", "hole_accuracy")
    assert metrics.keys() == {f"test/{name}" for name in names}
    assert metrics["test/hole_accuracy"] == 0


def test_an_answer_of_several_tokens_is_right_as_a_whole():
    module = model()
    target = torch.tensor([[1, 2, 3], [1, 2, 3], [1, 2, 3]])
    said = torch.tensor([[1, 2, 3], [0, 2, 3], [1, 0, 3]])
    weight = torch.tensor([[0.0, 1.0, 1.0]]).expand(3, 3)
    distribution = Categorical(one_hot(said, SIZE + 1).float())
    right, counts = module.metrics(distribution, TokenBatch(target, target, weight))["accuracy"]
    assert right.tolist() == [1, 1, 0]
    assert counts.tolist() == [1, 1, 1]


def test_metrics_of_real_parts_equal_brute_force():
    module = model()
    metrics = train(module, data())
    hole, seen, nll = [], [], 0.0
    with torch.no_grad():
        for a in range(SIZE):
            for b in range(SIZE):
                read = torch.tensor([[a, b, SIGN]])
                distribution = module.eval()(TokenBatch(read, read, torch.ones(1, 3))).log_probs[
                    0, -1
                ]
                answer = (a + b) % SIZE
                inside = a in (3, 4, 5) and b in (2, 3, 4)
                (hole if inside else seen).append(float(distribution.argmax() == answer))
                nll -= distribution[answer].item()
    assert metrics["val/hole_accuracy"] == pytest.approx(sum(hole) / 9)
    assert metrics["val/seen_accuracy"] == pytest.approx(sum(seen) / 72)
    assert metrics["val/nll"] == pytest.approx(nll / 81, rel=1e-5)


def test_the_picture_shows_each_pair_and_frames_the_hole():
    module = model(CaseBased)
    train(module, data())
    figure = module.figures(TABLE)["equations"]
    axes, bar = figure.axes
    shown = axes.images[0].get_array()  # rows are second numbers, columns first ones
    for a in range(SIZE):
        for b in range(SIZE):
            inside = a in (3, 4, 5) and b in (2, 3, 4)
            assert shown[b, a] == pytest.approx(WRONG if inside else RIGHT, rel=1e-5)
    [frame] = axes.patches
    assert frame.get_xy() == (2.5, 1.5)
    assert (frame.get_width(), frame.get_height()) == (3, 3)
    assert bar.get_ylabel() == "probability"
    assert "mod 9" in axes.get_title(loc="left")
    FigureCanvasAgg(figure).draw()


@pytest.mark.parametrize("sampling", [None, Sampling(length=64, temperature=0.0)])
def test_prediction_writes_the_likeliest_answers(sampling):
    module = model() if sampling is None else model(sampling=sampling)
    rows = [row for rows in trainer().predict(module, data()) for row in rows]
    assert len(rows) == 9
    with torch.no_grad():
        for row, (a, b) in zip(rows, ((a, b) for a in (3, 4, 5) for b in (2, 3, 4)), strict=True):
            read = torch.tensor([[a, b, SIGN]])
            distribution = module.eval()(TokenBatch(read, read, torch.ones(1, 3))).logits[0, -1]
            assert row["prompt"] == f"{a}+{b}="
            assert row["answer"] == str((a + b) % SIZE)
            assert row["text"] == data().decode([distribution.argmax().item()])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_ranks_measure_what_one_does(strategy):
    def measure(world):
        torch.manual_seed(0)
        made = {"ddp": "ddp", "fsdp2": ModelParallelStrategy(2, 1)}[strategy]
        strategy_of = {"strategy": made if world == 2 else "auto", "devices": world}
        runner, module = trainer(limit_val_batches=1.0, **strategy_of), model()
        runner.validate(module, data(eval_batch_size=5), verbose=False)
        metrics = {name: float(value) for name, value in runner.callback_metrics.items()}
        probability = module.figures(TABLE)["equations"].axes[0].images[0].get_array()
        return metrics, probability.tolist()

    alone, picture = measure(1)
    for metrics, drawn in run_ranks(measure, 2, 2):
        assert metrics == pytest.approx(alone, rel=1e-5)
        torch.testing.assert_close(torch.tensor(drawn), torch.tensor(picture))


def test_options_survive_a_checkpoint(tmp_path):
    module, path = model(sampling=Sampling(temperature=0.5)), tmp_path / "model.ckpt"
    runner = trainer(max_steps=1)
    runner.fit(module, data())
    runner.save_checkpoint(path)
    loaded = EquationModel.load_from_checkpoint(path, weights_only=True)
    assert loaded.sampling == Sampling(temperature=0.5)
    torch.testing.assert_close(loaded.eval()(TABLE).logits, module.eval()(TABLE).logits)


def test_other_data_are_refused():
    with pytest.raises(ValueError, match=r"EquationModel answers equations, got FixedData; use"):
        trainer().fit(model(), FixedData(TABLE))
