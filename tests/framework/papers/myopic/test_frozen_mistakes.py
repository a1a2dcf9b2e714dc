"""What cannot be the past of a model, and where no past can be had, is said in a sentence."""

from functools import partial

import pytest

from components.layers.attention import ScaledDotProduct
from components.layers.myopic.attention import GivenPast, Myopic
from components.layers.norms import LayerNorm
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
            GivenPast,
            {"vanilla": None},
            "GivenPast sees keys and values of another .* reference=null",
        ),
        (ScaledDotProduct, {}, "gives a past that no attention of Decoder would see; choose"),
        (partial(Myopic, constant="keys"), {}, "gives a past that no attention of Decoder would"),
        (GivenPast, {"vanilla": "/no/such"}, "There is no checkpoint '/no/such'; check the path"),
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


def test_heads_of_another_width_are_refused(vanilla):
    """Their parameters have the same shapes, so that only keys can tell."""
    wide = partial(BACKBONE, heads=2, kv_heads=1)
    module = model(GivenPast, backbone=wide, reference=vanilla)
    module.configure_model()
    with pytest.raises(ValueError, match=r"holds keys of shape \[6, 2, 6, 4\], .* \[6, 1, 6, 8\]"):
        module(batch())


def test_no_text_is_continued_with_it(vanilla):
    runner = trainer()
    with pytest.raises(ValueError, match=r"^Decoder with GivenPast .* generate with that model"):
        runner.predict(model(GivenPast, reference=vanilla), FixedData(batch()))
