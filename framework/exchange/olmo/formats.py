"""The two formats of OLMo and FANformer: that of their own code, and that for Hugging Face."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import yaml
from torch import Tensor

from components.data import TokenSpec
from components.supports import Tokens
from framework.exchange.configuration import Configuration
from framework.exchange.formats import Format, ImportPlan, TensorMap, Written
from framework.exchange.harmless import HARMLESS
from framework.exchange.nodes import ConfigNode
from framework.exchange.olmo.architecture import Architecture
from framework.exchange.olmo.reading import architecture
from framework.exchange.olmo.writing import architecture_of, values

KEYS = (  # of OLMo's configurations, and of FANformer's
    *("d_model", "n_heads", "n_kv_heads", "clip_qkv", "n_layers", "mlp_ratio", "mlp_hidden_size"),
    *("activation_type", "block_type", "block_group_size", "alibi", "alibi_bias_max", "rope"),
    *("rope_full_precision", "rope_theta", "flash_attention", "attention_dropout"),
    *("multi_query_attention", "attention_layer_norm", "residual_dropout", "embedding_dropout"),
    *("embedding_layer_norm", "layer_norm_type", "layer_norm_with_affine", "layer_norm_eps"),
    *("attention_layer_norm_with_affine", "max_sequence_length", "include_bias"),
    *("bias_for_layer_norm", "scale_logits", "vocab_size", "embedding_size", "weight_tying"),
    *("eos_token_id", "pad_token_id", "init_device", "init_fn", "init_std", "init_cutoff_factor"),
    *("precision", "scale_emb_init", "emb_init_std", "norm_after"),
    *("use_ATF", "p_ratio", "attention_activation"),
)


class OlmoFormat(Format):
    """A format of OLMo, in which FANformer is published too.

    `prefix` starts the names of tensors.
    """

    title = "OLMo"
    prefix: ClassVar[str]

    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> ImportPlan:
        """Plans the import of a model; see `Format.plan`."""
        config.require_known({*KEYS, *HARMLESS}, self.title)
        found = architecture(config, tensors, self.prefix)
        return ImportPlan(
            architecture=found.title,
            backbone=found.backbone(),
            spec=TokenSpec(Tokens(found.size), found.length),
            tied=found.tied,
            tensors=self.tensors(found),
            p=found.p,
        )

    def write(
        self,
        owner: str,
        model: Mapping[str, Any],
        held: Mapping[str, Tensor],
        names: Collection[str] = (),
    ) -> Written:
        """Describes a model of ours in this format; see `Format.write`."""
        sizes = architecture_of(owner, model, held)
        dropout = ConfigNode(owner, "the backbone", model["backbone"]).options["dropout"]
        of_embedding = ConfigNode(owner, "the stem", model["stem"]).options["dropout"]
        return Written(self.text(values(sizes, dropout, of_embedding)), self.tensors(sizes))

    def with_tokens(self, text: str, tokens: Mapping[str, Any]) -> str:
        """Adds ids of tokens to a configuration, which has one that ends a text, and no first."""
        read = yaml.safe_load(text)
        ends = tokens.get("eos_token_id")
        one = {"eos_token_id": ends[0]} if isinstance(ends, list) else {}
        return self.text({**read.get("model", read), **tokens, **one})

    def tensors(self, model: Architecture) -> list[TensorMap]:
        """Lists the tensors of a model in the order in which OLMo's own code saves them."""
        return model.tensors(self.prefix)

    @abstractmethod
    def text(self, values: Mapping[str, Any]) -> str:
        """Writes a configuration.

        Args:
            values: Keys of the model, in this format or the other.
        """


class Olmo(OlmoFormat):
    """The files of OLMo's own code: `model.pt`, or safetensors, and `config.yaml`."""

    name = "olmo"
    kinds = ()
    prefix = "transformer."
    weights = "model.pt"
    config = "config.yaml"

    def describes(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a configuration is one of this format."""
        return "model_type" not in values and isinstance(values.get("model"), Mapping)

    def text(self, values: Mapping[str, Any]) -> str:
        """Writes the YAML of a configuration, whose key `model` is the model."""
        model = {key: value for key, value in values.items() if key in KEYS}
        text: str = yaml.safe_dump({"model": model}, sort_keys=False)
        return text


class HfOlmo(OlmoFormat):
    """The files of its wrapper for Hugging Face: `pytorch_model.bin` and `config.json`."""

    name = "hf_olmo"
    kinds = ("hf_olmo", "olmo")
    prefix = "model.transformer."
    weights = "pytorch_model.bin"
    config = "config.json"

    def describes(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a configuration is one of this format."""
        return values.get("model_type") in self.kinds and "hidden_size" not in values

    def text(self, values: Mapping[str, Any]) -> str:
        """Writes the JSON of a configuration."""
        model = {key: value for key, value in values.items() if key in KEYS}
        wrapper = {"model_type": "hf_olmo", "architectures": ["OLMoForCausalLM"]}
        return json.dumps({**wrapper, "use_cache": True, **model}, indent=2) + "\n"


OLMO, HF_OLMO = Olmo(), HfOlmo()
