"""A run starts from the parameters of a checkpoint, of shards or of a published model."""

import shutil
from functools import partial

import pytest
import torch

from components import LowRankAdaptation
from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads import LinearHead
from components.initializations import NormalMatrices
from components.layers.fan import FanLayer
from components.layers.feedforward import SwiGLU
from components.stems import TokenStem
from components.supports import Tokens
from framework.exchange import Weights
from framework.exchange.conversion import import_directory
from framework.exchange.exporting import export
from framework.modules.language import LanguageModel
from framework.strategies import FullyShardedStrategy
from tests.framework.exchange.published import config_of, drawn, write_hf, write_native
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData, options
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(11), 16)
LAYER = partial(FanLayer, p=0.25, activation=torch.nn.Identity)
BACKBONE = partial(Decoder, dim=8, depth=2, heads=2, feedforward=partial(SwiGLU, hidden=12))


def module(initialization, backbone=None, tied=True):
    backbone = backbone or partial(BACKBONE, projection=LAYER)
    parts = options(SPEC, TokenStem, partial(LinearHead, bias=False), backbone)
    return LanguageModel(**parts, tied=tied, initialization=initialization)


def data():
    tokens = torch.arange(48).reshape(6, 8) % 11
    return FixedData(TokenBatch(tokens, tokens.roll(-1, 1), torch.ones(6, 8)))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_native(
        tmp_path_factory.mktemp("p") / "model", config_of(p=0.25), drawn(torch.bfloat16, p=0.25)
    )


def assert_same(module, state):
    found = module.state_dict()
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor.float()), name


def test_a_directory_and_a_checkpoint(published, tmp_path):
    held = import_directory(published).checkpoint
    torch.save(held, tmp_path / "model.ckpt")
    for path in (published, tmp_path / "model.ckpt"):
        built = module(Weights(str(path)))
        built.configure_model()
        assert_same(built, held["state_dict"])
        assert all(parameter.dtype == torch.float32 for parameter in built.parameters())


def test_an_untied_read_out(tmp_path):
    folder = write_hf(tmp_path / "model", config_of(tied=False), drawn(tied=False))
    built = module(Weights(str(folder)), BACKBONE, tied=False)
    built.configure_model()
    assert_same(built, import_directory(folder).checkpoint["state_dict"])


@pytest.mark.parametrize(
    ("backbone", "tied", "said"),
    [
        (None, False, "head.projection.weight [11, 8] 88"),
        (BACKBONE, True, "backbone.blocks.0.attention.projection.weight [6, 8] 48"),
        (partial(BACKBONE, depth=1, projection=LAYER), True, "backbone 622 0 614"),
        (
            partial(BACKBONE, projection=partial(FanLayer, p=0.5)),
            True,
            "backbone.blocks.1.attention.projection.weight [4, 8], there [6, 8] 32",
        ),
    ],
)
def test_what_fits_is_loaded_and_a_table_says_the_rest(published, backbone, tied, said, capsys):
    held = import_directory(published).checkpoint["state_dict"]
    built = module(Weights(str(published)), backbone, tied)
    untouched = module(None, backbone, tied)
    for model in (built, untouched):
        torch.manual_seed(3)
        model.configure_model()
    for name, value in built.state_dict().items():
        fits = name in held and held[name].shape == value.shape
        expected = held[name].float() if fits else untouched.state_dict()[name]
        assert torch.equal(value, expected), name
    assert said in [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_a_part_of_another_class_is_fresh_though_shapes_agree(published, tmp_path):
    checkpoint = import_directory(published).checkpoint
    checkpoint["state_dict"]["head.projection.weight"] = torch.full((11, 8), 9.0)
    checkpoint["hyper_parameters"]["head"] = {"class_path": "components.FourierHead"}
    torch.save(checkpoint, tmp_path / "fourier.ckpt")
    built = module(Weights(str(tmp_path / "fourier.ckpt")), tied=False)
    built.configure_model()
    assert not (built.state_dict()["head.projection.weight"] == 9.0).any()


def test_parts_are_chosen(published, capsys):
    built, untouched = module(Weights(str(published), parts=["backbone"])), module(None)
    for model in (built, untouched):
        torch.manual_seed(3)
        model.configure_model()
    held = import_directory(published).checkpoint["state_dict"]
    for name, value in built.state_dict().items():
        is_copied = name.startswith("backbone.")
        expected = held[name].float() if is_copied else untouched.state_dict()[name]
        assert torch.equal(value, expected), name
    assert "holds no tokenizer" not in capsys.readouterr().out
    for parts, said in ((["body"], "names body; choose among stem, backbone"), ([], "no part")):
        with pytest.raises(ValueError, match=said):
            Weights(str(published), parts=parts)


def test_a_model_without_a_tokenizer_says_so(published, capsys):
    module(Weights(str(published))).configure_model()
    assert "model holds no tokenizer: that its token ids mean" in capsys.readouterr().out


@pytest.mark.parametrize("trained", [(), ("head",)])
def test_what_is_new_is_not_frozen(published, trained):
    built = module(Weights(str(published)), tied=False)
    built._adaptation = LowRankAdaptation(targets=["out"], trained=trained)
    if trained:
        built.configure_model()
        assert built.head.projection.weight.requires_grad
        return
    said = r"head.projection.weight is not that of .* let adaptation.trained name the head, or"
    with pytest.raises(ValueError, match=said):
        built.configure_model()


def test_another_initialization_sets_what_does_not_fit(published):
    built = module(Weights(str(published), fresh=NormalMatrices(std=1e-9)), tied=False)
    built.configure_model()
    state = built.state_dict()
    assert 0 < state["head.projection.weight"].abs().max() < 1e-7
    assert state["stem.embedding.weight"].abs().max() > 1e-3


def test_nothing_that_fits_is_one_sentence(published):
    built = module(Weights(str(published)), partial(BACKBONE, projection=FanLayer, dim=12))
    with pytest.raises(ValueError, match=r"nothing in .* fits this model: .* there \[") as told:
        built.configure_model()
    assert "\n" not in str(told.value)


def test_a_path_that_is_not_there(published, tmp_path):
    with pytest.raises(ValueError, match=r"^Weights: there is no path='/no/such'; check it, or"):
        module(Weights("/no/such")).configure_model()
    torch.save([1], tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match="is not the checkpoint of a run"):
        module(Weights(str(tmp_path / "x.ckpt"))).configure_model()


def test_a_trained_model_goes_back_and_forth(published, tmp_path):
    """What began with published weights is trained, saved, exported and imported again."""
    source = shutil.copytree(published, tmp_path / "source")
    begun = module(Weights(str(source)))
    runner = trainer(max_steps=2)
    runner.fit(begun, data())
    runner.save_checkpoint(tmp_path / "trained.ckpt")
    state = torch.load(tmp_path / "trained.ckpt", weights_only=True)["state_dict"]
    before = import_directory(published).checkpoint["state_dict"]
    assert not torch.equal(state["stem.embedding.weight"], before["stem.embedding.weight"])
    export(tmp_path / "trained.ckpt").write(tmp_path / "again")
    again = import_directory(tmp_path / "again").checkpoint["state_dict"]
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)
    shutil.rmtree(source)  # the checkpoint does without
    loaded = LanguageModel.load_from_checkpoint(tmp_path / "trained.ckpt")
    assert_same(loaded, state)


def sharded(published, folder):
    """Trains a step on this rank and saves a folder of shards; returns all parameters."""
    runner = trainer(
        max_steps=1,
        devices=2,
        strategy=FullyShardedStrategy(True, "gloo"),
        callbacks=[],
    )
    built = module(Weights(published))
    runner.fit(built, data())
    runner.save_checkpoint(folder)
    return {name: value.full_tensor() for name, value in built.state_dict().items()}


@pytest.mark.slow
def test_shards_are_read_whole(published, tmp_path):
    folder = tmp_path / "shards"
    state, _ = run_ranks(sharded, 2, str(published), str(folder))
    assert {path.suffix for path in folder.iterdir()} >= {".distcp"}
    built = module(Weights(str(folder)))
    built.configure_model()
    assert_same(built, state)
    export(folder).write(tmp_path / "again")
    again = import_directory(tmp_path / "again").checkpoint["state_dict"]
    assert all(torch.equal(again[name], state[name]) for name in state)
