"""One look at every generated image: its features go into the moments, the first images into a picture."""

import torch
from torch import Tensor

from diffrun_worker.block import BlockContext
from diffrun_worker.evaluation.features import FeatureExtractor
from diffrun_worker.evaluation.statistics import FeatureStatistics, Moments
from diffrun_worker.evaluation.subjects import Subject
from diffrun_worker.sampling.batching import run_batches
from diffrun_worker.sampling.grids import grid_png
from diffrun_worker.sampling.images import PNG

SCHEMA_TYPE = "sample_grid"

_SHOWN, _COLUMNS = 64, 8


class Progress:
    """How far the block has come, counted in images looked at: first the real ones, then the generated."""

    def __init__(self, ctx: BlockContext, *, real: int, generated: int) -> None:
        self._ctx = ctx
        self._real = real
        self._total = real + generated
        self.real(0)

    def real(self, done: int) -> None:
        """So many real images; holds here while the run is paused."""
        self._ctx.progress(done, self._total)
        self._ctx.check_pause()

    def generated(self, done: int) -> None:
        """All real images, and so many generated ones."""
        self._ctx.progress(self._real + done, self._total)


class Measurement:
    """The moments of a subject's features."""

    def __init__(self, subject: Subject, extractor: FeatureExtractor, ctx: BlockContext, progress: Progress) -> None:
        self._subject = subject
        self._extractor = extractor
        self._ctx = ctx
        self._progress = progress
        self._statistics: FeatureStatistics | None = None
        self._shown: list[Tensor] = []

    def run(self, batch_size: int) -> Moments:
        """Looks at every image once; hands over a grid of the first 64 as an artifact.

        Raises PermanentError `CudaOutOfMemory`, `InvalidStatistics`, and what the subject raises.
        """
        run_batches(range(len(self._subject)), batch_size, self._look)
        statistics = self._statistics or FeatureStatistics(self._extractor.dimension)
        return statistics.moments()

    def _look(self, rows: range) -> None:
        self._ctx.check_pause()
        images = self._subject.batch(rows)
        features = self._extractor(images)
        if self._statistics is None:
            self._statistics = FeatureStatistics(self._extractor.dimension, features.device)
        # Nothing from here on asks for memory of the device: a batch that starts again in halves counts once.
        self._statistics.update(features)
        self._show(rows, images)
        self._progress.generated(rows.stop)

    def _show(self, rows: range, images: Tensor) -> None:
        shown = min(_SHOWN, len(self._subject))
        if rows.start >= shown:
            return
        self._shown.append(images[: shown - rows.start].cpu())
        if rows.stop >= shown:
            grid = grid_png(torch.cat(self._shown), _COLUMNS)
            self._ctx.artifact(
                grid.data,
                schema_type=SCHEMA_TYPE,
                content_type=PNG,
                tags={"phase": "evaluate", "samples": str(shown)},
                width=grid.width,
                height=grid.height,
            )
