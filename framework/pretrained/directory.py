"""Reads language models and tokenizers of transformers, from a directory or the hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn


def library(owner: str) -> Any:
    """Imports transformers, which takes seconds.

    Args:
        owner: Who needs it, for the message.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{owner} needs the package transformers; run `pip install 'overtone[hf]'`."
        ) from error
    return transformers


def language_model(
    owner: str, path: str, depth: int | None = None, dtype: torch.dtype | None = None
) -> nn.Module:
    """Reads a causal language model; on the device "meta" only its shapes.

    Args:
        owner: Who needs it, for messages.
        path: Directory written by `save_pretrained`, or the name of a model on the hub.
        depth: How many of the first blocks to keep; all if not given. The others are not read.
        dtype: Type of its parameters; the default type of torch if not given.

    Raises:
        ValueError: If transformers is missing, there is no such model, or it is not a causal
            language model.
    """
    models = library(owner)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    with _reading(owner, path, models):
        config = models.AutoConfig.from_pretrained(path)
    if config.is_encoder_decoder:
        raise ValueError(
            f"{owner}: path={path!r} is an encoder with a decoder ({config.model_type}); "
            "give a causal language model."
        )
    _shorten(owner, config, depth)
    with _reading(owner, path, models):
        if torch.get_default_device().type == "meta":
            made: nn.Module = models.AutoModelForCausalLM.from_config(config, dtype=dtype)
        else:
            made = models.AutoModelForCausalLM.from_pretrained(path, config=config, dtype=dtype)
    return made.train()  # as new modules are; from_pretrained returns it in evaluation mode


def tokenizer(owner: str, path: str) -> Any:
    """Reads a tokenizer.

    Args:
        owner: Who needs it, for messages.
        path: Directory written by `save_pretrained`, or the name of a model on the hub.

    Raises:
        ValueError: If transformers is missing, or there is no such tokenizer.
    """
    models = library(owner)
    with _reading(owner, path, models):
        return models.AutoTokenizer.from_pretrained(path)


def _shorten(owner: str, config: Any, depth: int | None) -> None:
    """Reduces a configuration to its first blocks."""
    if depth is None:
        return
    if not 0 <= depth <= config.num_hidden_layers:
        raise ValueError(
            f"{owner}: depth={depth} blocks cannot be kept of {config.num_hidden_layers}; "
            "keep fewer, or drop depth to keep all."
        )
    config.num_hidden_layers = depth
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:depth]


@contextmanager
def _reading(owner: str, path: str, models: Any) -> Iterator[None]:
    """Silences the library about parts left out on purpose; reports failures in one sentence."""
    local = Path(path).expanduser()
    if not local.is_dir() and (local.is_absolute() or path.startswith(".") or path.count("/") > 1):
        raise ValueError(f"{owner}: there is no directory path={path!r}; check the path.")
    logging = models.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it warns when workers are forked
    try:
        yield
    except (OSError, ValueError) as error:
        where = "the directory" if local.is_dir() else "the Hugging Face hub"
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"{owner}: path={path!r} cannot be read from {where}; give a directory that "
            f"`save_pretrained` of transformers wrote ({reason})."
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
