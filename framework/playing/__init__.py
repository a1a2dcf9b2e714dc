"""Episodes that a trained policy plays, in Python and as a verb.

from framework import play
play("best.ckpt", returns=[20, 40, 60], episodes=16).summary()
"""

from framework.playing.episodes import play
from framework.playing.returns import PlayedEpisodes

__all__ = ["PlayedEpisodes", "play"]
