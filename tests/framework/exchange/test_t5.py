"""T5 and Chronos say the same when they are imported, and are given back."""

import json
from functools import partial

import numpy as np
import pytest
import torch

import framework
from components.data import PairBatch, SeriesBatch
from framework.data import Arrays
from framework.evaluation.continuation import continuations
from framework.evaluation.generation import Sampling
from framework.exchange.conversion import FORMATS, import_directory
from framework.exchange.exporting import export
from framework.exchange.files import read
from tests.framework.exchange.published import (
    assert_same_files,
    module_of,
    random,
    refusal,
    saved,
)

transformers = pytest.importorskip("transformers")
SIZES = {"d_model": 16, "d_kv": 6, "d_ff": 20, "num_layers": 2, "num_heads": 4}
SOURCE = torch.tensor([[5, 1, 12, 4, 7, 7, 3, 9, 2], [3, 8, 8, 1, 0, 0, 0, 0, 0]])
WRITTEN = torch.tensor([[0, 4, 4, 9, 1], [0, 2, 11, 5, 5]])
CHRONOS = {
    "tokenizer_class": "MeanScaleUniformBins",
    "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
    "n_tokens": 40,
    "n_special_tokens": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "use_eos_token": True,
    "model_type": "seq2seq",
    "context_length": 12,
    "prediction_length": 4,
    "num_samples": 20,
    "temperature": 1.0,
    "top_k": 5,
    "top_p": 1.0,
}


def t5(untied=False, size=13, **options):
    """A model of transformers; its read-out is the embedding unless it is given another."""
    sizes = {"vocab_size": size, "decoder_start_token_id": 0, **SIZES, **options}
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes))
    if untied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(size, SIZES["d_model"]))
    return model


def chronos(**changes):
    return t5(size=40, chronos_config={**CHRONOS, **changes})


MODELS = {
    "T5": t5,
    "T5 1.1": partial(t5, True, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "T5, other options": partial(
        t5,
        feed_forward_proj="gated-silu",
        tie_word_embeddings=False,
        layer_norm_epsilon=0.1,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=6,
    ),
}


def pairs(source=SOURCE, written=WRITTEN):
    weight = torch.ones(written.shape)
    mask = (source > 0).flip(1).cumsum(1).flip(1) > 0
    return PairBatch(written, written.roll(-1, 1), weight, source, mask)


@torch.no_grad()
def answers(model):
    mask = pairs().mask
    return model(input_ids=SOURCE, attention_mask=mask, decoder_input_ids=WRITTEN).logits


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] if "," in x else []) for x in MODELS]
)
@torch.no_grad()
def test_t5_says_the_same_here_and_is_given_back(name, tmp_path):
    model = random(MODELS[name])
    model.save_pretrained(tmp_path / "model")
    expected, imported = answers(model), import_directory(tmp_path / "model")
    found = module_of(imported)(pairs()).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)  # logits of up to 5 in size
    path = saved(tmp_path / "model", tmp_path / "one.ckpt")
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")
    again = given_back(imported, path, tmp_path / "made")
    torch.testing.assert_close(answers(again), expected, rtol=0, atol=1e-6)


def given_back(imported, path, folder):
    """Exports a model as if it was not imported, and loads it as transformers do."""
    held = imported.checkpoint
    form = FORMATS[held.pop("published")["format"]]
    torch.save(held, path)
    export(path, form).write(folder)
    theirs, ours = read(folder.parent / "model").tensors, read(folder).tensors
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    again = import_directory(folder).checkpoint
    assert again["hyper_parameters"] == held["hyper_parameters"]
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def test_t5_writes_the_same_text(tmp_path):
    model = random(MODELS["T5, other options"])
    with torch.no_grad():  # so large that texts do not repeat one token
        for parameter in (*model.encoder.block.parameters(), *model.decoder.block.parameters()):
            parameter.mul_(3)
    model.save_pretrained(tmp_path)
    module = module_of(import_directory(tmp_path))
    sampling = Sampling(length=6, temperature=0.0)
    source, parts = module.stem(pairs()), (module.stem, module.backbone, module.head)
    prompts, uniform = list(WRITTEN[:, :1]), torch.zeros(2, 6, dtype=torch.float64)
    steps = continuations(*parts, prompts, sampling, uniform, 512, source=source)
    with torch.no_grad():
        expected = model.generate(
            input_ids=SOURCE,
            attention_mask=pairs().mask,
            do_sample=False,
            max_new_tokens=6,
            eos_token_id=None,
        )
    assert len(expected.unique()) > 4
    assert torch.stack(list(steps), 1).equal(expected[:, 1:])


def test_older_files_hold_the_embedding_three_times(tmp_path):
    model = random(MODELS["T5"])
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    state = model.state_dict()
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    state[unused] = torch.ones(32, 4)
    assert {"lm_head.weight", "encoder.embed_tokens.weight"} < state.keys()
    torch.save(state, tmp_path / "model" / "pytorch_model.bin")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for key in ("scale_decoder_outputs", "tie_word_embeddings", "dense_act_fn", "is_gated_act"):
        del config[key]
    path.write_text(json.dumps({**config, "n_positions": 77, "output_past": True}))
    imported = import_directory(tmp_path / "model")
    assert imported.plan.spec.length == 77
    with torch.no_grad():
        found = module_of(imported)(pairs()).logits
    torch.testing.assert_close(found, answers(model), rtol=0, atol=1e-5)
    export(saved(tmp_path / "model", tmp_path / "one.ckpt")).write(tmp_path / "same")
    again = torch.load(tmp_path / "same" / "pytorch_model.bin")
    assert list(again) == list(state)
    assert all(again[name].equal(tensor) for name, tensor in state.items())


def windows():
    """Two windows of series, the first of which lacks values, also in between."""
    generator = torch.Generator().manual_seed(0)
    observed = torch.ones(2, 12, dtype=torch.bool)
    observed[0, [0, 1, 5]] = False
    past = 7 * torch.randn(2, 12, generator=generator) * observed
    scale = past.abs().sum(1, keepdim=True) / observed.sum(1, keepdim=True)
    target = 30 * torch.randn(2, 4, generator=generator)  # some lie beyond all cells
    weight = torch.ones(2, 4)
    weight[1, 1] = 0
    return SeriesBatch(past, observed, torch.zeros(2, 1), scale, scale, target, weight)


def tokens_of(values, known, scale):
    """Tokens as Chronos numbers them: padding, the end, one that is not used, cells."""
    centers = torch.linspace(-15.0, 15.0, 37)
    nearest = (values[..., None] / scale[..., None] - centers).abs().argmin(-1)
    return torch.where(known, nearest + 3, 0)


@pytest.mark.slow
@torch.no_grad()
def test_chronos_forecasts_here_and_is_given_back(tmp_path):
    model, batch = random(chronos), windows()
    model.save_pretrained(tmp_path / "model")
    imported = import_directory(tmp_path / "model")
    read_by = tokens_of(batch.past, batch.observed, batch.scale)
    read_by = torch.cat((read_by, torch.ones(2, 1, dtype=torch.long)), 1)
    mask = torch.cat((batch.observed, torch.ones(2, 1, dtype=torch.bool)), 1)
    known = batch.weight > 0
    written = tokens_of(batch.target, known, batch.scale).roll(1, 1)
    written[:, 0] = 0
    theirs = model(input_ids=read_by, attention_mask=mask, decoder_input_ids=written).logits
    module = module_of(imported)
    ours = module.head(module.backbone(module.stem(batch))).cells.logits
    expected = theirs[..., 3:].log_softmax(-1)
    torch.testing.assert_close(ours.log_softmax(-1), expected, rtol=0, atol=1e-5)
    path = saved(tmp_path / "model", tmp_path / "one.ckpt")
    frame = framework.forecast(path, Arrays([np.arange(30.0), np.ones(3)], season=1), paths=2)
    assert len(frame) == 8
    assert np.isfinite(frame["mean"]).all()
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")
    again = given_back(imported, path, tmp_path / "made")
    assert again.config.chronos_config == CHRONOS


REFUSED = [
    (t5, "num_decoder_layers", 3, "num_decoder_layers: 3"),
    (t5, "feed_forward_proj", "gated-mish", "dense_act_fn: mish"),
    (t5, "tie_encoder", True, "tie_encoder: true, which is unknown for T5"),
    (t5, "vocab_size", 12, r"shared\.weight has shape"),
    (chronos, "reg_token_id", 1, "reg_token_id: 1, which is unknown for Chronos"),
    (chronos, "chronos_config", 1, "chronos_config: 1; keys and values"),
    (chronos, "chronos_config", {**CHRONOS, "n_tokens": 39}, "n_tokens: 39"),
    (chronos, "chronos_config", {**CHRONOS, "twist": 1}, "twist: 1, which is unknown for Chron"),
    (chronos, "chronos_config", {**CHRONOS, "use_eos_token": False}, "use_eos_token: false"),
    (chronos, "chronos_config", {**CHRONOS, "tokenizer_kwargs": {}}, "low_limit: null"),
    (partial(t5, True, 40, chronos_config=CHRONOS), "use_cache", True, "only one matrix as both"),
]


@pytest.mark.parametrize(("make", "key", "value", "said"), REFUSED, ids=[x[3] for x in REFUSED])
def test_refuses_in_a_sentence_what_no_model_here_is(make, key, value, said, tmp_path):
    make().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    if key == "feed_forward_proj":
        del config["dense_act_fn"]
    path.write_text(json.dumps({**config, key: value}))
    with pytest.raises(ValueError, match=said):
        raise ValueError(refusal(lambda: import_directory(tmp_path)))


def test_refuses_in_a_sentence_what_chronos_cannot_be(tmp_path):
    chronos().save_pretrained(tmp_path / "model")
    held = import_directory(tmp_path / "model").checkpoint
    options, path = held["hyper_parameters"], tmp_path / "other.ckpt"
    changes = [
        ("stem", {"tokens": "own"}, "BinnedSeriesStem with tokens=own"),
        ("head", {"scale": 0.5}, "LinearHead with scale=0.5"),
        ("head", {"bins": {"class_path": "components.MixedBins"}}, "has unequal cells"),
        ("backbone", {"positions": "components.Rotary"}, "positions Rotary"),
    ]
    for part, change, said in changes:
        kept = options[part]["init_args"]
        options[part]["init_args"] = {**kept, **change}
        torch.save(held, path)
        assert said in refusal(lambda: export(path, FORMATS["chronos"]))
        options[part]["init_args"] = kept
    torch.save(held, path)
    assert "is of no LanguageModel" in refusal(lambda: export(path, FORMATS["t5"]))
