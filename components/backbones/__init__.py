"""Backbones: sequences in, hidden states out."""

from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.backbones.positionwise import MLP, FanNetwork, Perceptron

__all__ = ["MLP", "Decoder", "EncoderDecoder", "FanNetwork", "Perceptron"]
