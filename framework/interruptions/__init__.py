"""How a run ends when it is told to stop or fails: signals, dead ranks, the last whole step.

The status of the process says how it ended, and whether the same command is worth another try:

    0    done
    1    failed while it was training: an error, a rank or a worker that died, a full disk
    2    a mistake on the command line, in a recipe or in the data, found before the first step
    3    training diverged: the same command would end alike
    75   told to stop (SIGTERM, SIGINT, SIGUSR1) and saved: the same command with `--resume auto`
         goes on
    130  stopped by Ctrl-C before training, by a second one during it, or in another command

Any other status above 128 is 128 and the number of the signal that ended the process at once, as
SIGKILL (137) always does, and SIGTERM (143) where there is nothing to save.
"""

DONE, FAILED, MISTAKE, DIVERGED, PREEMPTED, STOPPED = 0, 1, 2, 3, 75, 130

SENTENCE = (
    "Status at the end: 0 done, 1 failed while training, 2 a mistake before it, 3 diverged, 75 "
    "told to stop and saved (go on with --resume auto), 130 Ctrl-C."
)


class Diverged(ValueError):
    """Training has left what can be computed with: a loss that is NaN, or spikes without end."""

    status = DIVERGED  # of the process


class Preempted(SystemExit):
    """A run was told to stop, and is saved as far as it was; ends the process with status 75."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)
