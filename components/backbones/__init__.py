"""Backbones: sequences in, hidden states out."""

from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.backbones.fan import FanNetwork
from components.backbones.mlp import MLP
from components.backbones.perceptron import Perceptron

__all__ = ["MLP", "Decoder", "EncoderDecoder", "FanNetwork", "Perceptron"]
