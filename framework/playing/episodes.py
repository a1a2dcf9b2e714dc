"""Plays the policy of a checkpoint in an environment, for several target returns."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from components.data import EpisodeBatch, TrajectorySpec
from components.layouts import lay_out_by_columns
from components.metrics.returns import RANDOM, named_scores
from framework.console.devices import fabric_on
from framework.console.outputs import TABLES, require_new, write_table
from framework.data.trajectories.environments import Environment
from framework.data.trajectories.making import make
from framework.data.trajectories.targets import target_list, written
from framework.evaluation import rollout
from framework.evaluation.film import FilmedEnvironment
from framework.modules.decision import DecisionModel
from framework.modules.loading import load_module
from framework.playing.returns import PlayedEpisodes

logger = logging.getLogger(__name__)

Task = tuple[float, int]  # target return and seed of an episode


def play(
    checkpoint: str | Path,
    environment: str = "",
    returns: float | list[float] | None = None,
    episodes: int = 16,
    video: str | Path | None = None,
    seed: int = 0,
    expert: float | None = None,
    batch_size: int = 32,
    accelerator: str = "auto",
    output: str | Path | None = None,
    reread: int | None = None,
) -> PlayedEpisodes:
    """Plays the policy of a checkpoint in episodes of an environment.

    Every target return is asked for in episodes with the same seeds, which begin alike. What is
    missing (an environment, its pictures) is found before the first episode.

    Args:
        checkpoint: A checkpoint of a `DecisionModel`.
        environment: Gymnasium id of the environment, or `module:id` of your own; "": the one that
            the data of the checkpoint are from.
        returns: Target returns, such as 20,40,60; those of its training if not given.
        episodes: Episodes for each target return.
        video: Folder for films of the first episode of each target return, animated GIFs; none
            are made if not given.
        seed: Seed of the first episode; those after it have the next ones.
        expert: Mean return of an expert to compare with, if known.
        batch_size: Episodes that are played at once.
        accelerator: Device of the model, as of the trainer.
        output: New file for a row of each episode, .parquet or .csv; none is written if not given.
            If playing is interrupted, it gets the episodes that are over.
        reread: After how many steps a full window is read again, see `DecisionModel`; as in its
            training if not given. More are faster, and show the policy fewer steps.

    Raises:
        UserError: If the file cannot be written.
        ValueError: If an option is out of its range, the checkpoint holds no policy, the
            environment cannot be made, is not that of the policy, or draws no pictures.
    """
    for name, value, least in (("episodes", episodes, 1), ("batch_size", batch_size, 1)):
        if value < least:
            raise ValueError(f"play: {name}={value} is too small; use at least {least}.")
    if not 0 <= seed < 2**31:
        raise ValueError(f"play: seed={seed} is no seed; use 0 or a positive number below 2**31.")
    if output is not None:
        require_new(Path(output), TABLES)
    module = _load(checkpoint)
    if reread is not None:
        rollout.require_reread("play", reread, module.spec.length)
        module.reread = reread
    targets = _targets(returns, module.spec, checkpoint)
    films = {} if video is None else _films(Path(video), targets, seed)
    place = Environment(environment or _environment(module.spec, checkpoint))
    place.require(module.spec)
    place.try_out(pictures=bool(films))
    spec = _spec_in(place, module.spec)
    references = _references(place, spec, module.spec, expert)
    module = module.to(fabric_on(accelerator).device)
    for path in films.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    tasks = [(target, seed + k) for target in targets for k in range(episodes)]
    lay_out_by_columns(module, min(batch_size, len(tasks)))
    rows: list[dict[str, Any]] = []
    try:
        for start in range(0, len(tasks), batch_size):
            rows += _play(module, spec, tasks[start : start + batch_size], films, references)
    finally:
        played = PlayedEpisodes(place.name, pd.DataFrame(rows), references)
        if output is not None and rows:
            write_table(played.episodes, Path(output))
        if len(rows) < len(tasks):
            logger.warning("%d of %d episodes were played to their end.", len(rows), len(tasks))
    return played


def _play(
    module: DecisionModel,
    spec: TrajectorySpec,
    tasks: Sequence[Task],
    films: Mapping[Task, Path],
    references: Mapping[str, float],
) -> Iterator[dict[str, Any]]:
    """Plays some episodes at once, and yields a row for each."""

    def environment(k: int) -> Any:
        film = films.get(tasks[k])
        made = make(spec.environment, pictures=film is not None)
        return made if film is None else FilmedEnvironment(made, film)

    targets, seeds = zip(*tasks, strict=True)
    batch = EpisodeBatch(
        torch.tensor(seeds, device=module.device), torch.tensor(targets, device=module.device)
    )
    with torch.inference_mode():
        outcomes = rollout.play(
            module.policy(), spec, batch, environment=environment, reread=module.reread
        )
    returned = outcomes.returns.cpu().double()
    scores = {name: x.tolist() for name, x in named_scores(returned, references).items()}
    for k, (target, seed) in enumerate(tasks):
        yield {
            "target_return": target,
            "seed": seed,
            "return": float(returned[k]),
            "steps": int(outcomes.steps[k]),
            "end": outcomes.ends[k],
            **{name: values[k] for name, values in scores.items()},
        }


def _load(checkpoint: str | Path) -> DecisionModel:
    module = load_module(checkpoint)
    if not isinstance(module, DecisionModel):
        raise ValueError(
            f"The checkpoint {str(checkpoint)!r} is of a {type(module).__name__}, which does not "
            "act; play one of a DecisionModel."
        )
    return module


def _targets(
    returns: float | list[float] | None, spec: TrajectorySpec, checkpoint: str | Path
) -> tuple[float, ...]:
    if returns is not None:
        return target_list(returns)
    if not spec.target_returns:
        raise ValueError(
            f"The checkpoint {str(checkpoint)!r} does not say which returns to ask for, as it is "
            "of an earlier version; name them, as in --returns 20,40."
        )
    return spec.target_returns


def _environment(spec: TrajectorySpec, checkpoint: str | Path) -> str:
    if not spec.environment:
        raise ValueError(
            f"The data of the checkpoint {str(checkpoint)!r} name no environment; name one, as in "
            "--environment CartPole-v1."
        )
    return spec.environment


def _films(folder: Path, targets: Sequence[float], seed: int) -> dict[Task, Path]:
    """Returns the files of the films, by the episodes that are filmed."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"play: video {str(folder)!r} is a file; name a folder.")
    films = {}
    for target in targets:
        path = folder / f"return_{written(target)}_seed_{seed}.gif"
        if path.exists():
            raise ValueError(f"The film {str(path)!r} exists already; choose another folder.")
        films[target, seed] = path
    return films


def _spec_in(place: Environment, spec: TrajectorySpec) -> TrajectorySpec:
    """Returns the spec for episodes in an environment, with its own longest episode."""
    same = _same(place.name, spec.environment)
    horizon = spec.horizon if same else place.limit or spec.horizon
    return replace(spec, environment=place.name, horizon=horizon)


def _references(
    place: Environment, spec: TrajectorySpec, trained: TrajectorySpec, expert: float | None
) -> dict[str, float]:
    """Returns the mean returns to compare with, by name.

    Those of the data count where they are from this environment, or from one that is not named.
    """
    if expert is not None and not math.isfinite(expert):
        raise ValueError(f"play: expert={expert} is no mean return; give a finite number.")
    same = _same(place.name, trained.environment)
    random = trained.random_return if same else math.nan
    if not math.isfinite(random):
        random = place.random_return(spec.horizon)
    if expert is not None and expert <= random:
        raise ValueError(
            f"play: expert={expert} is what random actions reach ({random:.4g}), which is no "
            "scale; give the mean return of a better policy."
        )
    data = trained.data_return if same or not trained.environment else math.nan
    known = {RANDOM: random, "data": data, "expert": math.nan if expert is None else expert}
    return {name: mean for name, mean in known.items() if math.isfinite(mean)}


def _same(name: str, other: str) -> bool:
    """Returns whether two names are of one environment, with or without its module."""
    return name.rpartition(":")[2] == other.rpartition(":")[2]
