"""Tells errors of the user, which get one sentence, from bugs, which keep their traceback."""

from __future__ import annotations

import linecache
import os
import re
import traceback
from pathlib import Path

from framework.interruptions import FAILED, MISTAKE

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) for name in ("components", "framework", "cli.py"))


LIGHTNING = re.compile(  # where it raises what is meant for the user
    r"lightning[/\\](?:pytorch|fabric)[/\\](?:accelerators|callbacks|loggers|plugins|profilers|"
    r"strategies|tuner|trainer[/\\]connectors)[/\\]"
)


class UserError(Exception):
    """Something wrong on the command line or in a recipe, in one sentence."""

    status = MISTAKE  # of the process


class RunFailure(UserError):
    """What ended a run that was training already, in one sentence."""

    status = FAILED


def status_of(error: Exception) -> int:
    """Returns the status of a process that an error ends for which there is a message."""
    return int(getattr(error, "status", MISTAKE))


def user_message(error: Exception) -> str | None:
    """Returns a message for user errors, None for bugs.

    A user error is what our own code raises on purpose, and what anyone (a constructor, pandas,
    the Trainer) finds wrong with a value or a file before the first batch. Everything else, in
    particular what torch raises during a run, is a bug.
    """
    if missing := _missing_package(error):
        return missing
    outermost, error = error, innermost(error)
    if str(error).startswith("Expected a ") and (said := _refused_by_class(str(outermost))):
        return said
    frames = traceback.extract_tb(error.__traceback__)
    on_purpose = bool(frames) and _is_for_users(frames[-1].filename) and _raises(frames[-1])
    running = any(frame.name == "_run_stage" for frame in frames)  # of Lightning's Trainer
    found_early = isinstance(error, ValueError | OSError) and not running
    # Lightning's; importing the class would take seconds.
    misconfigured = type(error).__name__ == "MisconfigurationException"
    if isinstance(error, UserError) or on_purpose or found_early or misconfigured:
        return _dangling(error) or " ".join(str(error).split()) or type(error).__name__
    return None


def _dangling(error: Exception) -> str:
    """Returns a sentence on a link to a file that does not exist, else ""."""
    name = error.filename if isinstance(error, FileNotFoundError) else None
    if not name or not os.path.islink(name):
        return ""
    aim = os.readlink(name)
    return f"{name} is a link to {aim}, which does not exist; restore that, or remove the link."


def _missing_package(error: BaseException | None) -> str:
    """Returns a sentence on a package that Lightning requires and does not find, else ""."""
    while error is not None:
        message = str(error)
        if found := re.search(r"Requirement '([\w.-]+)([^']*)' not met", message):
            owner = re.search(r"given class_path '(?:[\w.]+\.)?(\w+)'", message)
            needs = f"{owner[1]} needs {found[1]}" if owner else f"{found[1]} is needed"
            return f"{needs}, which is not installed; run `pip install '{found[1]}{found[2]}'`."
        error = error.__cause__
    return ""


def _refused_by_class(message: str) -> str:
    """Returns why a class refused its options, if that was one of several things to choose from.

    Args:
        message: That of jsonargparse, with a reason for each of them.
    """
    if not message.startswith("Does not validate against any of the Union subtypes"):
        return ""
    reason = r"given class_path '[^']+':\s*\n\s+(?!- )(.*?)(?=\n\s*(?:- |Given value)|\Z)"
    reasons = re.findall(reason, message, re.DOTALL)
    return " ".join(reasons[-1].split()) if reasons else ""


def _is_for_users(filename: str) -> bool:
    return filename.startswith(OURS) or LIGHTNING.search(filename) is not None


def innermost(error: Exception) -> Exception:
    """Returns the error of a constructor that jsonargparse raised again."""
    frames = traceback.extract_tb(error.__traceback__)
    wrapped = bool(frames) and "jsonargparse" in Path(frames[-1].filename).parts
    if wrapped and isinstance(error.__cause__, Exception):
        return innermost(error.__cause__)
    return error


def _raises(frame: traceback.FrameSummary) -> bool:
    return linecache.getline(frame.filename, frame.lineno or 0).lstrip().startswith("raise ")
