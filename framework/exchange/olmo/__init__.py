"""The formats of OLMo, which FANformer shares: native, and as its wrapper for Hugging Face."""

from framework.exchange.olmo.formats import HF_OLMO, OLMO, OlmoFormat

__all__ = ["HF_OLMO", "OLMO", "OlmoFormat"]
