"""Train a run in a process that sends itself a signal in the middle of an iteration: KEY, signal number, iteration."""

import os
import sys
from typing import Any

from harness.cli import main
from methods.cluster_contrast import ClusterContrast

key, number, fatal = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
untouched = ClusterContrast.step
done = 0


def step(self: ClusterContrast, batch: Any) -> Any:
    global done
    done += 1
    losses = untouched(self, batch)
    if done == fatal:
        os.kill(os.getpid(), number)
    return losses


ClusterContrast.step = step  # type: ignore[method-assign]
sys.argv[1:] = ["train", key]
main()
