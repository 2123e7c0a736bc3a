"""AdaBN: the source model with BatchNorm statistics re-estimated on the target; no weight is trained.

Li et al., "Revisiting batch normalization for practical domain adaptation" (ICLR workshops 2017). A method that only
moves BatchNorm statistics would look like adaptation; this row shows how much of a gain that alone explains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness import learning
from harness.learning.algorithm import Algorithm, Losses
from harness.specs.base import Frozen

if TYPE_CHECKING:
    from torch import Tensor

    from harness.learning.data import UnlabeledBatch


class AdaBN(Algorithm):
    """Statistics are the plain average over all iterations, so the result does not depend on a momentum."""

    class Params(Frozen):
        pass

    params: Params

    def build(self) -> None:
        self.network = learning.initialize.network(self.run, "network")

    def begin_epoch(self, epoch: int) -> Iterator[UnlabeledBatch]:
        run, compute = self.run, self.run.compute
        self.network.train()
        self.done = 0
        target = run.unlabeled
        indices = learning.sampler.shuffled_batches(len(target), compute.batch.size, run.rng("sample", epoch))
        return target.batches(indices, compute.iterations, compute.augment, run.view_rngs(epoch))

    def step(self, batch: UnlabeledBatch) -> Losses:
        learning.batchnorm.average_statistics(self.network, self.done)
        self.done += 1
        with learning.optim.precision(self.run), learning.torch.no_grad():
            self.network(batch.views[0])
        return {}

    def export(self) -> dict[str, Tensor]:
        return self.network.state_dict()
