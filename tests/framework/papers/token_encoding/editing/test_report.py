"""What is told of a study: scales that came, and those that could not."""

import json
import math

import torch

from framework.papers.token_encoding.editing.report import report_study
from framework.papers.token_encoding.editing.study import SCALES, Trial


def trials(direction, scales, left_out):
    """One trial for each scale that is requested, in which the tokens came out scaled so."""
    log_scale = torch.tensor(scales, dtype=torch.float64).log()
    return [
        Trial(direction, True, "val", scale, log_scale, left_out, 0.1, 0.02, 0.3)
        for scale in SCALES
    ]


def test_scales_out_of_reach_are_told_as_such(tmp_path):
    found = report_study([*trials("whiten", [8.0, 12.5, 10.0], 2), *trials("mlr", [], 5)])
    [head, whiten, mlr] = found.table
    place = head.index("x 10")
    error = (math.log(10 / 8) + math.log(1.25)) / 3
    assert whiten[place] == f"10 [{error:.3f}] (2 out of reach)"
    assert mlr[place] == "out of reach"
    kept = found.metrics
    assert math.isclose(kept["edits/val/whiten, calibrated/x 10/median"], 10)
    assert "edits/val/mlr, calibrated/x 10/median" not in kept
    names = [path.name for path in found.write(tmp_path)]
    assert names == ["edits.csv", "edits.json", "edits.png"]
    assert "NaN" not in json.dumps(kept)
