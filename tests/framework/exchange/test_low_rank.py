"""A published model is fine-tuned by additions of low rank, which are merged on export."""

from functools import partial

import pytest
import torch

from components import Decoder, LinearHead, LowRankAdaptation, SwiGLU, TokenStem
from components.data import TokenBatch, TokenSpec
from components.supports import Tokens
from framework.exchange import Weights
from framework.exchange.conversion import FORMATS, import_directory
from framework.exchange.exporting import export
from framework.modules.language import LanguageModel
from tests.framework.exchange.published import config_of, drawn, logits, refusal, write_native
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData, options

BACKBONE = partial(Decoder, dim=8, depth=2, heads=2, feedforward=partial(SwiGLU, hidden=12))
IDS = [3, 1, 4, 1, 5]


def module(folder, **changes):
    parts = options(
        TokenSpec(Tokens(11), 16), TokenStem, partial(LinearHead, bias=False), BACKBONE
    )
    adaptation = LowRankAdaptation(**{"rank": 2, "alpha": 6.0, **changes})
    weights = Weights(str(folder))
    return LanguageModel(**parts, tied=True, initialization=weights, adaptation=adaptation)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A published model, the checkpoint of its fine-tuning, and the fine-tuned module."""
    folder = tmp_path_factory.mktemp("low_rank")
    published = write_native(folder / "model", config_of(), drawn())
    tokens = torch.arange(48).reshape(6, 8) % 11
    data = FixedData(TokenBatch(tokens, tokens.roll(-1, 1), torch.ones(6, 8)))
    tuned = module(published, targets=["query", "key_value", "down"])
    runner = trainer(max_steps=3)
    runner.fit(tuned, data)
    runner.save_checkpoint(folder / "tuned.ckpt")
    return published, folder / "tuned.ckpt", tuned


def test_it_starts_as_the_model_and_trains_the_additions_alone(trained):
    published, _, tuned = trained
    fresh = module(published)
    fresh.configure_model()
    state = import_directory(published).checkpoint["state_dict"]
    assert fresh.state_dict().keys() - state.keys() == {
        f"backbone.blocks.{block}.attention.{name}.{part}"
        for block in range(2)
        for name in ("query", "key_value")
        for part in ("low", "high")
    }
    after = tuned.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    assert {
        name.rpartition(".")[2] for name, p in tuned.named_parameters() if p.requires_grad
    } == {
        "low",
        "high",
    }
    assert after["backbone.blocks.1.feedforward.down.high"].abs().min() > 0


@pytest.mark.slow
def test_the_export_says_what_the_model_says(trained, tmp_path):
    _, path, tuned = trained
    export(path, FORMATS["llama"]).write(tmp_path / "merged")
    again = import_directory(tmp_path / "merged")
    torch.save(again.checkpoint, tmp_path / "merged.ckpt")
    merged = LanguageModel.load_from_checkpoint(tmp_path / "merged.ckpt", weights_only=True)
    expected = logits(tuned, IDS)
    torch.testing.assert_close(logits(merged, IDS), expected, rtol=0, atol=1e-5)
    loaded = LanguageModel.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(logits(loaded, IDS), expected)


def test_mistakes(trained):
    published, _, tuned = trained
    said = refusal(module(published, targets=["q_proj"]).configure_model)
    assert (
        "has no linear map 'q_proj'; choose targets=['q_proj'] among ['down', 'key_value'" in said
    )
    assert "rank=0 trains nothing" in refusal(lambda: LowRankAdaptation(rank=0))
    assert "with additions of low rank" in refusal(lambda: tuned.backbone.plan(2))
