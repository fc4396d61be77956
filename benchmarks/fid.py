"""From features to the Fréchet distance: ours beside pytorch-fid's and torch-fidelity's, on the same features.

    python benchmarks/fid.py                                   # 10,000 × 2048, as for a FID of 10,000 samples
    python benchmarks/fid.py --count 2000 --dimension 512 --repeats 5 --json fid.json

Each variant gets the generated images' features, [N, D] float32, and the reference's mean and covariance, and ends
with one number: statistics, then distance. The network that gives features is left out, it is the same for all. How
they are timed and compared: `harness/comparison.py`. All use the same number of threads. Before anything is timed the
three must agree to 1e-4.

    ours            streaming float64 moments in batches of 64, eigenvalues of a symmetric matrix
    pytorch-fid     numpy's mean and cov, scipy's sqrtm of the product
    torch-fidelity  numpy's mean and cov, eigenvalues of the product, which is not symmetric
    statistics      ours, without the distance
    root            ours: what is done once for a reference, however many distances follow

Exit status 1 where ours is slower than the faster of the two and --check was given.
"""

import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from harness.comparison import CLOCKS, Ratio, Spread, compared, finish, interleaved, machine_of, options_of, spreads
from pytorch_fid.fid_score import calculate_frechet_distance
from threadpoolctl import threadpool_limits
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from diffrun_worker.evaluation.frechet import FrechetReference, frechet_distance
from diffrun_worker.evaluation.statistics import FeatureStatistics, Moments, moments_of
from diffrun_worker.sampling.threads import limit_threads

BATCH = 64
PEERS = ("pytorch-fid", "torch-fidelity")
TOLERANCE = 1e-4


def features(count: int, dimension: int, seed: int, spread: float = 1.0) -> torch.Tensor:
    """[count, dimension] float32 that look like Inception's: ≥ 0, correlated, of scales over two decades."""
    mixing = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(1)) / dimension**0.5
    scales = torch.logspace(-2, 0, dimension)
    rows = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))
    return ((rows * scales * spread) @ mixing + 0.1).relu()


def variants(count: int, dimension: int) -> dict[str, Callable[[], float]]:
    """What is compared, each from features to the distance."""
    given = features(count, dimension, 2, spread=1.2)
    reference = moments_of(features(count, dimension, 3))
    mean, covariance = reference.mean.numpy(), reference.covariance.numpy()
    rows = given.double().numpy()  # pytorch-fid keeps its features so

    def moments() -> Moments:
        gathered = FeatureStatistics(dimension)
        for batch in given.split(BATCH):
            gathered.update(batch)
        return gathered.moments()

    def by_pytorch_fid() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of scipy, about an argument that it gives sqrtm
            own = (np.mean(rows, axis=0), np.cov(rows, rowvar=False))
            return float(calculate_frechet_distance(*own, mean, covariance))

    def by_torch_fidelity() -> float:
        own = fid_features_to_statistics(given)
        own["mu"] = own["mu"].astype(np.float64)  # it averages float32 in float32, and asks for equal types
        return float(fid_statistics_to_metric(own, {"mu": mean, "sigma": covariance}, verbose=False)[KEY_METRIC_FID])

    return {
        "ours": lambda: frechet_distance(reference, moments()),
        "pytorch-fid": by_pytorch_fid,
        "torch-fidelity": by_torch_fidelity,
        "statistics": lambda: float(moments().mean.sum()),
        "root": lambda: float(FrechetReference(reference)._factor[0].sum()),
    }


def agree(runs: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Every variant's distance. Raises SystemExit where they differ."""
    distances = {name: runs[name]() for name in ("ours", *PEERS) if name in runs}
    ours = distances["ours"]
    for name, distance in distances.items():
        print(f"  {name:15s} {distance:.8f}")
        if abs(distance - ours) > TOLERANCE * abs(ours):
            raise SystemExit(f"{name} gives {distance}, ours is {ours}: no figures of different things are compared")
    return distances


def main() -> int:
    """The command line."""
    parser = options_of(__doc__)
    parser.set_defaults(repeats=5)
    parser.add_argument("--count", type=int, default=10_000, help="images")
    parser.add_argument("--dimension", type=int, default=2048, help="features an image")
    parser.add_argument("--threads", type=int, help="by default as many as torch takes here")
    options = parser.parse_args()

    threads = options.threads or limit_threads()
    torch.set_num_threads(threads)
    machine = f"{machine_of('cpu')}, numpy {np.__version__}"
    print(f"{machine}, {options.repeats} repeats\n{options.count} × {options.dimension} features")
    with threadpool_limits(threads):
        runs = variants(options.count, options.dimension)
        distances = agree(runs)
        chosen = {name: run for name, run in runs.items() if name in (options.variants or [name])}
        times = interleaved(chosen, options.repeats, clock=CLOCKS[options.clock])
    for name, seconds in times.items():
        print(f"  {name:15s} {Spread.of(seconds):8.3f} s")
    ratios = compared(times, [Ratio(f"{name} / ours", name, "ours", at_least=1.0) for name in PEERS])
    return finish(options, machine, [{"distances": distances, "seconds": spreads(times), "ratios": ratios}])


if __name__ == "__main__":
    sys.exit(main())
