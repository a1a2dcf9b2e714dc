"""Errors of local models, in one sentence each: what does not fit, and what has no past."""

from functools import partial

import pytest

from components.layers.attention import ScaledDotProduct
from components.layers.myopic.attention import GivenPast, Myopic
from components.layers.norms import LayerNorm
from framework.execution import Execution
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData
from tests.framework.papers.myopic.test_frozen import BACKBONE, batch, fit, model


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory):
    """The checkpoint of a model that took a step."""
    path = tmp_path_factory.mktemp("vanilla") / "vanilla.ckpt"
    fit(model(), path=path, max_steps=1)
    return str(path)


@pytest.mark.parametrize(
    ("attention", "changes", "sentence"),
    [
        (
            ScaledDotProduct,
            {},
            "reference='.*' computes .* that the attention of Decoder does not",
        ),
        (partial(Myopic, constant="keys"), {}, "attention of Decoder does not read; choose"),
        (
            GivenPast,
            {"reference": "/no/such"},
            "There is no checkpoint '/no/such'; check the path",
        ),
        (
            GivenPast,
            {"backbone": partial(BACKBONE, depth=2)},
            "reference='.*', backbone: the checkpoint is of another architecture: blocks.2.*unkn",
        ),
        (
            GivenPast,
            {"backbone": partial(BACKBONE, norm=LayerNorm)},
            "another architecture: blocks.0.attention_norm.bias is missing there",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(vanilla, attention, changes, sentence):
    with pytest.raises(ValueError, match=sentence) as told:
        model(attention, **{"reference": vanilla, **changes}).configure_model()
    assert "\n" not in str(told.value)


@pytest.mark.filterwarnings("ignore")  # the compiler's own, about itself
@pytest.mark.parametrize(
    "execution",
    [Execution(), pytest.param(Execution(compile=True), marks=pytest.mark.slow)],
    ids=["plain", "compiled"],
)
def test_an_ordinary_module_is_refused_before_its_first_step(execution):
    module = model(GivenPast, execution=execution)
    sentence = r"^GivenPast attends .* got none; train it with LocalLanguageModel, .*$"
    with pytest.raises(ValueError, match=sentence):
        fit(module)
    assert module.trainer.global_step == 0


def test_heads_of_another_width_are_refused(vanilla):
    """Their parameters have the same shapes, so that only keys can tell."""
    wide = partial(BACKBONE, heads=2, kv_heads=1)
    module = model(GivenPast, backbone=wide, reference=vanilla)
    module.configure_model()
    with pytest.raises(ValueError, match=r"keys of shape \[6, 2, 6, 4\], .* \[6, 1, 6, 8\]"):
        module(batch())


def test_no_text_is_continued_with_it(vanilla):
    runner = trainer()
    with pytest.raises(ValueError, match=r"^GivenPast .* step by step; generate with that model"):
        runner.predict(model(GivenPast, reference=vanilla), FixedData(batch()))
