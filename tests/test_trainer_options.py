"""Every option of Lightning's Trainer is honoured or refused: where each is held, in one table."""

import inspect
import re
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

LIGHTNING = "by Lightning alone: neither our loaders nor our schedules touch it"
EPOCHS = "tests/framework/data/test_epochs.py::"
PASSES = f"{EPOCHS}test_epochs_are_passes_over_the_data"
EARLY = f"{EPOCHS}test_a_run_stops_early_after_the_epochs_and_steps_that_it_must_take"
LOADERS = "tests/framework/data/test_module.py::"
PROGRESS = "tests/framework/callbacks/test_progress.py::"
HELD = {
    "accelerator": LIGHTNING,
    "strategy": "tests/test_strategies.py::test_two_processes_end_with_the_weights_of_one",
    "devices": f"{LOADERS}test_ranks_together_train_on_the_batches_of_one",
    "num_nodes": LIGHTNING,
    "precision": "tests/test_cli.py::test_parameters_in_double_precision_train",
    "logger": "tests/test_mistakes.py::test_what_is_not_installed",
    "callbacks": "tests/test_mistakes.py::test_a_callback_that_the_recipe_has_already",
    "fast_dev_run": PASSES,
    "max_epochs": PASSES,
    "min_epochs": EARLY,
    "max_steps": PASSES,
    "min_steps": EARLY,
    "max_time": "tests/framework/test_optimization.py::test_a_run_without_end_is_one_sentence",
    "limit_train_batches": PASSES,
    "limit_val_batches": PASSES,
    "limit_test_batches": LIGHTNING,
    "limit_predict_batches": LIGHTNING,
    "overfit_batches": f"{EPOCHS}test_overfitting_repeats_the_same_batches",
    "val_check_interval": PASSES,
    "check_val_every_n_epoch": PASSES,
    "num_sanity_val_steps": LIGHTNING,
    "log_every_n_steps": LIGHTNING,
    "enable_checkpointing": "tests/test_cli.py::test_last_checkpoint_is_that_of_the_last_step",
    "enable_progress_bar": f"{PROGRESS}test_prints_nothing_if_there_should_be_no_bar",
    "enable_model_summary": LIGHTNING,
    "accumulate_grad_batches": f"{EPOCHS}test_an_epoch_must_be_whole_steps",
    "gradient_clip_val": "tests/test_mistakes.py::test_clipping_to_a_negative_norm",
    "gradient_clip_algorithm": LIGHTNING,
    "deterministic": LIGHTNING,
    "benchmark": LIGHTNING,
    "inference_mode": LIGHTNING,
    "use_distributed_sampler": f"{LOADERS}test_lightning_must_not_share_the_data_too",
    "profiler": LIGHTNING,
    "detect_anomaly": LIGHTNING,
    "barebones": "tests/test_mistakes.py::test_refused_options_of_the_trainer",
    "plugins": LIGHTNING,
    "sync_batchnorm": LIGHTNING,
    "reload_dataloaders_every_n_epochs": PASSES,
    "default_root_dir": "tests/test_cli.py::test_defaults_of_the_trainer",
    "enable_autolog_hparams": "nothing to log: hyper-parameters stand in the recipe that is saved",
    "model_registry": "tests/test_mistakes.py::test_refused_options_of_the_trainer",
}


def test_the_table_knows_every_option():
    assert set(HELD) == set(inspect.signature(Trainer).parameters)


@pytest.mark.parametrize("place", sorted({place for place in HELD.values() if "::" in place}))
def test_the_tests_that_it_names_exist(place):
    path, name = place.split("::")
    text = Path(__file__).parents[1].joinpath(path).read_text(encoding="utf-8")
    assert re.search(rf"^def {name}\(", text, re.MULTILINE)
