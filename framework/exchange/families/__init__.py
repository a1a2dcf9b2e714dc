"""Families of published models, as the library transformers saves them."""

from framework.exchange.families.family import Family
from framework.exchange.families.tables import FAMILIES

__all__ = ["FAMILIES", "Family"]
