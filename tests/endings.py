"""Checks that end in each way, in a module that new processes import fast."""

import os
import time

from benchmarks.cuda.checks import Disagreement


def passes(place):
    print("printed")
    return f"on {place.device}"


def ends(place):
    os._exit(3)


def hangs(place):
    time.sleep(1000)


def raises(place):
    raise Disagreement("two\nlines")
