"""Small published models of text: one token begins texts there, another one ends them."""

import json

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, processors

FIRST = ["<pad>", "<s>", "</s>", "<unk>", "<|turn|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = ["▁", *"abcdefghijklmnopqrstuvwxyz<>/|.\n", "<s", "<s>", "▁t", "th", "▁th", "▁the"]
MERGES = [("<", "s"), ("<s", ">"), ("▁", "t"), ("t", "h"), ("▁t", "h"), ("▁th", "e")]
CHAT = "{% for m in messages %}<|turn|>{{ m['content'] }}{% endfor %}"
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
KINDS = ("Llama", "Mistral", "Gemma", "Qwen3")


def engine():
    """Builds a tokenizer as Llama's: words of sentencepiece, bytes beside them, a token in front.

    Its model has a merge that spells the token which begins a text.
    """
    words = dict.fromkeys([*FIRST, *BYTES, *LETTERS])
    vocab = {word: k for k, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocab, MERGES, unk_token="<unk>", byte_fallback=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    made.add_special_tokens(FIRST)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])]
    )
    return made


def write(folder, kind="Llama", **ids):
    """Writes a model of a kind with random weights, and the tokenizer beside it."""
    import transformers

    made = engine()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        padding_side="left",
    )
    wrapped.chat_template = CHAT
    wrapped.save_pretrained(folder)
    known = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **ids}
    length = {"max_position_embeddings": 64, "initializer_range": 0.7}
    sizes = {**SIZES, **HEADS, **length, "vocab_size": made.get_vocab_size()}
    config = getattr(transformers, f"{kind}Config")(**sizes, **known)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(5)
        model = transformers.AutoModelForCausalLM.from_config(config)
        model.save_pretrained(folder)
    return folder


def state(folder, name, **values):
    """Changes values of a JSON file beside a model; None takes one away."""
    path = folder / name
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {key: value for key, value in {**held, **values}.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")
