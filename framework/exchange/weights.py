"""Weights: starts a run from the parameters of another model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from components.interfaces import Backbone, Head, Initialization, Stem
from framework.checkpoints import compare, load_parameters
from framework.exchange.conversion import import_directory


@dataclass(frozen=True)
class Weights(Initialization):
    """Copies the parameters of a checkpoint, or of a published model, of the same architecture.

    Only parameters are copied: the run starts at step 0 with a new optimizer and schedule, while
    `--ckpt_path` resumes those of the checkpoint. The path is read each time the model is built;
    set `initialization` to null where a checkpoint is loaded anyway.

    Args:
        path: A checkpoint of ours, a file or a folder of shards; or the directory of a published
            model that `overtone import` can read.
    """

    path: str

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Copies all parameters and buffers of the parts.

        Raises:
            ValueError: If the path cannot be read, or names or shapes differ, as they do between a
                tied read-out and an untied one.
        """
        parts = nn.ModuleDict({"stem": stem, "backbone": backbone, "head": head})
        expected = parts.state_dict()
        if any(tensor.is_meta for tensor in expected.values()):
            return
        names = ("stem.", "backbone.", "head.")
        found = {name: x for name, x in _read(self.path).items() if name.startswith(names)}
        compare("Weights", expected, found)
        parts.load_state_dict(found)


def _read(path: str) -> dict[str, Tensor]:
    location = Path(path).expanduser()
    if not location.exists():
        raise ValueError(
            f"Weights: there is no path={path!r}; check it, or choose initialization=null where a "
            "checkpoint is loaded anyway."
        )
    if location.is_dir() and not (location / "meta.pt").is_file():
        state: dict[str, Tensor] = import_directory(location).checkpoint["state_dict"]
        return state
    return load_parameters(location)
