"""Seaquest: a scripted player of the game, from whose episodes policies are learnt."""

from framework.tasks.seaquest.player import Seaquest, Skill

__all__ = [
    "Seaquest",
    "Skill",
]
