"""Mistakes of a user, told in one sentence; a bug keeps its traceback."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) for name in ("components", "framework", "cli.py"))


class UserError(Exception):
    """A mistake on the command line or in a recipe, said in one sentence."""


def sentence(error: Exception) -> str | None:
    """Says what the user can mend, or None where the error is a bug.

    A mistake is what our own code raises on purpose, and what anyone (a constructor, pandas,
    the Trainer) finds wrong with a value or a file before the first batch. All else, in particular
    what torch raises during a run, is a bug.
    """
    error = _innermost(error)
    frames = traceback.extract_tb(error.__traceback__)
    on_purpose = bool(frames) and frames[-1].filename.startswith(OURS) and _raises(frames[-1])
    running = any(frame.name == "_run_stage" for frame in frames)  # of Lightning's Trainer
    found_early = isinstance(error, ValueError | OSError) and not running
    misconfigured = (
        type(error).__name__ == "MisconfigurationException"
    )  # Lightning's, not imported for its name
    if isinstance(error, UserError) or on_purpose or found_early or misconfigured:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _innermost(error: Exception) -> Exception:
    """Takes off what jsonargparse wraps around the error of a constructor."""
    frames = traceback.extract_tb(error.__traceback__)
    wrapped = bool(frames) and "jsonargparse" in Path(frames[-1].filename).parts
    if wrapped and isinstance(error.__cause__, Exception):
        return _innermost(error.__cause__)
    return error


def _raises(frame: traceback.FrameSummary) -> bool:
    return linecache.getline(frame.filename, frame.lineno or 0).lstrip().startswith("raise ")
