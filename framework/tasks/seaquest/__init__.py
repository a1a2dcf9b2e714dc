"""Seaquest: scripted players of the game, from whose episodes policies are learnt."""

from framework.tasks.seaquest.player import Seaquest, Skill
from framework.tasks.seaquest.soft import SoftSeaquest

__all__ = [
    "Seaquest",
    "Skill",
    "SoftSeaquest",
]
