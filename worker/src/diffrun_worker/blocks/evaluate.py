"""evaluate: how far generated images are from real ones.

1. The images are those of a model, drawn here as the generation blocks draw them, or files of an earlier block.
2. The features are Inception's, and the figure is a FID; or a classifier's of the real images, and it is not.
3. Both sides become a mean and a covariance, batch by batch, and nothing else of the images is kept.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from diffrun_contracts import params as contract
from diffrun_contracts.params.evaluate import Features
from diffrun_contracts.status import Scalar
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.blocks.preparation import configure_torch, model_path_of
from diffrun_worker.data.images import Images
from diffrun_worker.data.load import load_images
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.evaluation.classifier_cache import classifier_features
from diffrun_worker.evaluation.features import ClassifierFeatures, FeatureExtractor, InceptionFeatures
from diffrun_worker.evaluation.frechet import frechet_distance
from diffrun_worker.evaluation.generated import ImageFiles, find_images
from diffrun_worker.evaluation.measurement import Measurement, Progress
from diffrun_worker.evaluation.networks import load_network
from diffrun_worker.evaluation.provenance import code_version
from diffrun_worker.evaluation.reference import dataset_moments, load_statistics, require_dimension
from diffrun_worker.evaluation.statistics import Moments
from diffrun_worker.evaluation.subjects import DrawnImages, Subject
from diffrun_worker.evaluation.weights import load_weights
from diffrun_worker.sampling.schedules import Schedule

DEFAULT_SAMPLES = 10_000

_LABELS = ("nfe", "sampler")
_CLASSIFIER_SEED = 0  # not the run's: distances of several runs are to be compared by the same network

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What is evaluated, and what is to be said of it beside the figure."""

    subject: Subject
    outputs: Mapping[str, Scalar]
    """For later blocks and the run's status: the model, the sampler and its function evaluations, where known."""
    labels: Mapping[str, str | int] = field(default_factory=dict)
    """Of the metric."""


class Evaluate:
    """The Fréchet distance between generated and real images."""

    Params: ClassVar = contract.Evaluate

    def run(self, params: contract.Evaluate, ctx: BlockContext) -> Outputs:
        """Emits one metric, `eval/fid` or `eval/classifier_distance`, with n and NFE as its labels.

        Raises PermanentError: what loading a model, a data set, weights or statistics raises; `InvalidParams`,
        `NoImages`, `InvalidStatistics`, `CudaOutOfMemory`, `NonFiniteSample`.
        """
        started = time.monotonic()
        configure_torch(ctx.device)
        task = _files(params, ctx) if params.artifacts or params.generated else _drawn(params, ctx)
        images = _real_images(params, task.subject, ctx)
        progress = Progress(ctx, real=0 if images is None else len(images), generated=len(task.subject))
        extractor = _extractor(params, images, ctx)
        reference = _reference(params, images, extractor, ctx, progress)
        moments = Measurement(task.subject, extractor, ctx, progress).run(params.batch_size)
        distance = frechet_distance(reference, moments)
        count = len(task.subject)
        ctx.metric(extractor.metric, distance, step=0, n=count, **task.labels)
        return {
            "metric": extractor.metric,
            "distance": distance,
            "n": count,
            **task.outputs,
            **_about_features(extractor),
            **_about_reference(params, images, reference),
            **_note(moments),
            "runtime_seconds": round(time.monotonic() - started, 3),
            "code_version": code_version(),
        }


def _drawn(params: contract.Evaluate, ctx: BlockContext) -> Task:
    """Samples of a model."""
    model_path = model_path_of(params.model_path, ctx.inputs)
    network = load_network(ctx.workspace.path(model_path), ctx.device, params.dtype)
    schedule = Schedule(network.model.scheduler_config, params.sampler)
    count = params.samples or DEFAULT_SAMPLES
    subject = DrawnImages(network, schedule, count, ctx.seed + params.seed_offset, ctx.check_pause)
    sampler = str(params.sampler.name)
    nfe, eta = schedule.calls, params.sampler.eta
    outputs: dict[str, Scalar] = {"model_path": model_path, "sampler": sampler, "nfe": nfe, "eta": eta}
    return Task(subject, outputs, {"nfe": schedule.calls, "sampler": sampler})


def _files(params: contract.Evaluate, ctx: BlockContext) -> Task:
    """Images that an earlier block has left, or anybody else."""
    folder = params.artifacts or ctx.inputs.get("artifacts_path")
    if not isinstance(folder, str):
        raise PermanentError(
            ErrorCode.MISSING_INPUT,
            "generated: no block that this one depends on has an output artifacts_path; put a generateFull, "
            "generatePreview or infer block before it, or give the folder in artifacts",
        )
    files = find_images(ctx.workspace, folder, ctx.check_pause)
    asked = params.samples or len(files)
    if len(files) < asked:
        raise PermanentError(
            ErrorCode.NO_IMAGES,
            f"samples: {asked} are asked for and {folder} holds {len(files)}; lower samples, or leave it out",
        )
    subject = ImageFiles(files[:asked])
    if params.artifacts:  # nobody says how these were made
        return Task(subject, {"artifacts_path": folder})
    known: dict[str, Scalar] = {name: ctx.inputs[name] for name in ("model_path", *_LABELS) if name in ctx.inputs}
    labels = {name: value for name in _LABELS if isinstance(value := known.get(name), str | int)}
    known["artifacts_path"] = folder
    return Task(subject, known, labels)


def _real_images(params: contract.Evaluate, subject: Subject, ctx: BlockContext) -> Images | None:
    """The reference data set, in the size and channels of the generated images unless the user gives another size."""
    if params.reference.data is None:
        return None
    channels, size, _ = subject.shape
    data = params.reference.data
    images = load_images(
        data, ctx.workspace, image_size=size, channels=channels, progress=ctx.progress, check=ctx.check_pause
    )
    if params.features is Features.CLASSIFIER and images.shape != subject.shape:
        raise invalid_params(
            f"reference.data.imageSize: real images have shape {list(images.shape)}, generated ones "
            f"{list(subject.shape)}; a classifier looks at one size: leave imageSize out"
        )
    return images


def _extractor(params: contract.Evaluate, images: Images | None, ctx: BlockContext) -> FeatureExtractor:
    if params.features is Features.INCEPTION:
        assert params.weights is not None  # noqa: S101 - the parameters' model requires them
        tensors = load_weights(params.weights, ctx.workspace, ctx.check_pause)
        return InceptionFeatures(tensors, params.weights.sha256, ctx.device)
    assert images is not None  # noqa: S101 - the parameters' model requires a data set
    return classifier_features(images, ctx.workspace, seed=_CLASSIFIER_SEED, device=ctx.device, check=ctx.check_pause)


def _reference(
    params: contract.Evaluate,
    images: Images | None,
    extractor: FeatureExtractor,
    ctx: BlockContext,
    progress: Progress,
) -> Moments:
    if images is not None:
        return dataset_moments(images, extractor, ctx.workspace, batch_size=params.batch_size, progress=progress.real)
    assert params.reference.statistics is not None  # noqa: S101 - the parameters' model allows exactly one
    field = "reference.statistics"
    moments = load_statistics(ctx.workspace.path(params.reference.statistics), field)
    require_dimension(moments, extractor, field)
    return moments


def _about_features(extractor: FeatureExtractor) -> Outputs:
    about: dict[str, Scalar] = {"features": extractor.name, "features_identity": extractor.identity}
    if isinstance(extractor, ClassifierFeatures):
        about |= {
            "classifier_accuracy": extractor.classifier.accuracy,
            "classifier_held_out": extractor.classifier.held_out,
        }
    return about


def _about_reference(params: contract.Evaluate, images: Images | None, reference: Moments) -> Outputs:
    if images is None:
        return {"reference": str(params.reference.statistics)}
    return {"reference": images.name, "reference_digest": images.digest, "reference_n": reference.count or len(images)}


def _note(moments: Moments) -> Outputs:
    """What a reader of the figure must know: Σ of few images lacks rank, and the distance is biased upwards."""
    if not moments.rank_deficient:
        return {}
    note = (
        f"{moments.count} images for {moments.dimension} features: the covariance lacks rank and the distance is "
        "biased upwards; compare it with figures of the same n only"
    )
    logger.warning("%s", note)
    return {"note": note}
