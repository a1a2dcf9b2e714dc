"""Weights: starts a run from parameters that exist already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from components.interfaces import Backbone, Head, Initialization, Stem
from framework.checkpoints import compare, load_parameters
from framework.exchange.imported import import_directory


@dataclass(frozen=True)
class Weights(Initialization):
    """Copies the parameters of a checkpoint, or of a published model, of the same architecture.

    Only parameters are taken over: the run starts at step 0, with an optimizer and a schedule of
    its own, where `--ckpt_path` would go on with those of the checkpoint. The path is read
    whenever the model is built; where a checkpoint is loaded into it, null can take its place.

    Args:
        path: A checkpoint of ours, a file or a folder of shards; or the directory of a published
            model that `overtone import` can read.
    """

    path: str

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Copies all parameters and buffers of the parts.

        Raises:
            ValueError: If the path cannot be read, or names or shapes differ; those of a tied
                read-out and of an untied one do.
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
    place = Path(path).expanduser()
    if not place.exists():
        raise ValueError(
            f"Weights: there is no path={path!r}; check it, or choose initialization=null where a "
            "checkpoint is loaded anyway."
        )
    if place.is_dir() and not (place / "meta.pt").is_file():
        state: dict[str, Tensor] = import_directory(place).checkpoint["state_dict"]
        return state
    return load_parameters(place)
