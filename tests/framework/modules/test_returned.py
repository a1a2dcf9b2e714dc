"""Parts of somebody's own that return what does not fit are named, and what they must return."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, Normal

from components import Tokens
from components.data import DensityBatch, DensitySpec
from components.interfaces import Embedded
from framework.modules.base import PredictiveModule
from framework.modules.weighted_means import WeightedMeans
from tests.framework.modules import fakes


class Narrow(fakes.FakeStem):
    def __init__(self, dim: int, spec: DensitySpec) -> None:
        super().__init__(dim // 2, spec)


class Bare(fakes.FakeStem):
    def forward(self, batch: DensityBatch) -> Tensor:
        return super().forward(batch).states


class Half(fakes.FakeBackbone):
    def forward(self, inputs: Embedded, cache: None = None) -> Tensor:
        return super().forward(inputs).chunk(2, -1)[0]


class Pair(fakes.FakeBackbone):
    def forward(self, inputs: Embedded, cache: None = None) -> tuple[Tensor, None]:
        return super().forward(inputs), None


class Last(fakes.FakeBackbone):
    def forward(self, inputs: Embedded, cache: None = None) -> Tensor:
        return super().forward(inputs)[:, -1]


class Shorter(fakes.FakeBackbone):
    def forward(self, inputs: Embedded, cache: None = None) -> Tensor:
        return super().forward(inputs)[:, 1:]


class Bottom(fakes.FakeHead):
    def forward(self, hidden: Tensor) -> Tensor:
        return self.projection(hidden)


class Mean(fakes.FakeHead):
    """One prediction for all examples, which broadcasts."""

    def forward(self, hidden: Tensor) -> Normal:
        return super().forward(hidden.mean(0, keepdim=True))


class Vector(fakes.FakeHead):
    """A prediction of two numbers, which log_prob would broadcast the target to."""

    def forward(self, hidden: Tensor) -> Distribution:
        return Independent(Normal(self.projection(hidden), 1.0), 1)


class Classes(fakes.FakeHead):
    def forward(self, hidden: Tensor) -> Categorical:
        return Categorical(logits=self.projection(hidden))


class Scalar(fakes.FakeNLL):
    def forward(self, prediction: Normal, target: Tensor) -> Tensor:
        return super().forward(prediction, target).mean()


class Whole(fakes.FakeNLL):
    """A loss for each example, which broadcasts to a matrix of all pairs."""

    def forward(self, prediction: Normal, target: Tensor) -> Tensor:
        return super().forward(prediction, target).mean(1)


class Plain(fakes.FakeNLL):
    def forward(self, prediction: Normal, target: Tensor) -> float:
        return 1.0


class Scored(PredictiveModule):
    """A metric without the axis of its weights, whose weighted mean is over all pairs."""

    def metrics(self, prediction: Normal, batch: DensityBatch) -> dict[str, tuple[Tensor, Tensor]]:
        return {"error": ((prediction.mean - batch.target).abs().squeeze(1), batch.weight)}


MISTAKES = [
    ({"stem": Narrow}, r"Narrow .* \[8, 1, 4\], where FakeBackbone reads .* 8\]"),
    ({"stem": Bare}, r"Bare returned a Tensor; return an Embedded\."),
    ({"backbone": Half}, r"Half .* \[8, 1, 4\], where those of its input are \[8, 1, 8\]"),
    ({"backbone": Pair}, r"Pair returned a tuple; return a tensor\."),
    ({"backbone": Last}, r"Last .* \[8, 8\], .* return \[batch, positions, dim\]"),
    ({"backbone": Shorter}, r"Shorter .* \[8, 0, 8\], where those of its input are \[8, 1, 8\]"),
    ({"head": Bottom}, r"Bottom returned a Tensor; return a distribution"),
    ({"head": Mean}, r"Mean .* batch_shape \[1, 1\] .* where \[8, 1\] and \[\] are due"),
    ({"head": Vector}, r"Vector .* event_shape \[2\], where \[8, 1\] and \[\] are due"),
    ({"losses": {"nll": Scalar}}, r"Scalar, the loss term 'nll', .* \[\], .* \[8, 1\]"),
    ({"losses": {"nll": Whole}}, r"Whole, .* values of shape \[8\], where targets have \[8, 1\]"),
    ({"losses": {"nll": Plain}}, r"Plain, .* values of shape \[\], where targets have \[8, 1\]"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_training_names_the_part(changes, message):
    with pytest.raises(ValueError, match=message):
        fakes.fit({}, changes)


@pytest.mark.parametrize("head", [Bottom, Mean, Vector])
def test_evaluation_names_the_part(head):
    with pytest.raises(ValueError, match=f"^{head.__name__} returned a "):
        fakes.trainer(limit_val_batches=1.0).validate(fakes.module(head=head), fakes.data())


@pytest.mark.parametrize("size", [1, 3])
def test_other_outcomes_than_those_of_the_data(size):
    model = fakes.module(head=Classes, spec=DensitySpec(Tokens(size), features=3))
    model.configure_model()
    batch = fakes.examples(4)
    with pytest.raises(ValueError, match=f"Classes .* over 2 outcomes, .* the data have {size};"):
        model.evaluate(batch._replace(target=torch.zeros(4, 1, dtype=torch.int64)), 0)


def test_metrics_have_a_weight_for_each_value():
    with pytest.raises(ValueError, match=r"'error' has values of shape \[\d\], .* of \[\d, 1\]"):
        fakes.trainer(limit_val_batches=1.0).validate(Scored(**fakes.options()), fakes.data())
    with pytest.raises(ValueError, match="give each value its weight"):
        WeightedMeans().add("loss", torch.ones(2), torch.ones(()))
