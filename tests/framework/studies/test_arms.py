"""What `--vary` and `--overlays` say: names of arms, their words, and learning rates."""

import pytest

from framework.console.errors import UserError
from framework.studies.arms import read_arms


def test_values_of_several_options_are_combined_each_with_each():
    varied = ["model.head=LinearHead,a.b.FanHead", "--model.backbone.init_args.depth=1,2"]
    words, rates = read_arms(varied, [])
    assert words == {
        "LinearHead+depth=1": ["--model.head=LinearHead", "--model.backbone.depth=1"],
        "LinearHead+depth=2": ["--model.head=LinearHead", "--model.backbone.depth=2"],
        "FanHead+depth=1": ["--model.head=a.b.FanHead", "--model.backbone.depth=1"],
        "FanHead+depth=2": ["--model.head=a.b.FanHead", "--model.backbone.depth=2"],
    }
    assert rates == []


def test_commas_in_brackets_divide_nothing():
    words, _ = read_arms(["model.head=FourierHead(bins=8,ends=even)", "model.x=[1, 2],3"], [])
    assert [*words] == ["FourierHead-bins=8-ends=even+x=-1-2", "FourierHead-bins=8-ends=even+x=3"]
    assert words["FourierHead-bins=8-ends=even+x=-1-2"] == [
        *("--model.head=FourierHead", "--model.head.bins=8", "--model.head.ends=even"),
        "--model.x=[1, 2]",
    ]


def test_overlays_are_arms_beside_the_recipe_or_what_is_varied():
    words, _ = read_arms([], ["heads/fan,heads/linear+precision/bf16"])
    assert words == {
        "recipe": [],
        "fan": ["--config=heads/fan"],
        "linear+bf16": ["--config=heads/linear", "--config=precision/bf16"],
    }
    assert [*read_arms(["model.head=LinearHead"], ["heads/fan"]).words] == ["LinearHead", "fan"]


def test_learning_rates_make_no_arms():
    words, rates = read_arms(["model.optimizer.init_args.lr=1e-3,3e-3"], [])
    assert (words, rates) == ({"recipe": []}, [0.001, 0.003])


@pytest.mark.parametrize(
    ("varied", "overlays", "told"),
    [
        ([], [], "nothing to compare"),
        (["model.head"], [], "'model.head' is not OPTION=VALUE,VALUE"),
        (["model.head=A,,B"], [], "is not OPTION=VALUE,VALUE"),
        (["model.head=A", "model.init_args.head=B"], [], "names model.head twice"),
        (["model.head=A,other.A"], [], "Two arms are called A"),
        (["model.head=A(bins)"], [], "'bins' is not OPTION=VALUE"),
        (["model.head=A(bins=1"], [], "has a bracket without its other one"),
        (["model.optimizer.lr=fast"], [], "lr=fast is no number"),
        ([], ["heads/fan+"], "names no overlay"),
    ],
)
def test_what_says_nothing_is_refused_in_one_sentence(varied, overlays, told):
    with pytest.raises(UserError, match=told) as error:
        read_arms(varied, overlays)
    assert "\n" not in str(error.value)
