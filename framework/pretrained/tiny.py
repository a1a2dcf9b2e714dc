"""Writes a tiny Llama with random weights, to try out pretrained models offline.

    python -m framework.pretrained.tiny DIRECTORY

What runs with it also runs with a real model.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers

from framework.data.tokens.tokenizer import END
from framework.pretrained.directory import library


def write(
    folder: str | Path, dim: int = 64, depth: int = 2, heads: int = 4, seed: int = 0
) -> Path:
    """Writes the model and a byte tokenizer into a directory, as `save_pretrained` does.

    Args:
        folder: The directory; created if missing.
        dim: Width of the hidden states.
        depth: Number of blocks.
        heads: Number of attention heads, a divisor of `dim`.
        seed: Seed of the weights.

    Returns:
        The directory.
    """
    made = library("tiny")
    engine = _bytes()
    config = made.LlamaConfig(
        vocab_size=engine.get_vocab_size(),
        hidden_size=dim,
        intermediate_size=3 * dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        max_position_embeddings=1024,
        bos_token_id=engine.token_to_id(END),
        eos_token_id=engine.token_to_id(END),
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        made.LlamaForCausalLM(config).save_pretrained(folder)
    wrapped = made.PreTrainedTokenizerFast(tokenizer_object=engine, bos_token=END, eos_token=END)
    wrapped.save_pretrained(folder)
    return Path(folder)


def _bytes() -> Engine:
    """Builds a tokenizer of bytes and the token between documents."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    engine = Engine(models.BPE(vocab={letter: k for k, letter in enumerate(alphabet)}, merges=[]))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens([END])
    return engine


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m framework.pretrained.tiny DIRECTORY")
    print(write(sys.argv[1]))
