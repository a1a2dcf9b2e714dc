"""What pages show: their commands, their blocks of Python, and what they answer to a stranger."""

import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import cli

ROOT = Path(cli.__file__).parent
PAGES = [
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("framework/papers/*/*.md")),
]
QUESTIONS = {  # of a stranger: the page that answers, and a part of the answer
    "How do I forecast my CSV?": ("docs/own/series.md", "overtone forecast zero_shot --data"),
    "Which head?": ("docs/heads/index.md", "| what is predicted | first try |"),
    "How do I run on Slurm?": ("docs/cluster.md", "sbatch recipes/cluster/train.sbatch"),
}
FENCED = re.DOTALL | re.MULTILINE
CLICKS = 2  # to each of them, at most


def clicks(start: str, links: Callable[[str], Iterable[str]]) -> dict[str, int]:
    """Counts the clicks to all pages that can be reached from one, by their name.

    Args:
        start: The name of the page.
        links: Returns the names of the pages that a page links to.
    """
    found, waiting = {start: 0}, deque([start])
    while waiting:
        page = waiting.popleft()
        for name in links(page):
            if name not in found:
                found[name] = found[page] + 1
                waiting.append(name)
    return found


def blocks(page: str, language: str) -> list[str]:
    """Returns the fenced blocks of a page that are in a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, FENCED)


def inline(page: str) -> list[list[str]]:
    """Returns the words of each command, and of each option alone, that a sentence names."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=FENCED)
    return [words.split() for words in re.findall(r"`((?:overtone |lightning |--)[^`]+)`", text)]


def commands(page: str) -> list[list[str]]:
    """Returns the words of each command of a page, without comments and continued lines joined."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    words = (shlex.split(line, comments=True) for line in lines)
    return [each for each in words if each]
