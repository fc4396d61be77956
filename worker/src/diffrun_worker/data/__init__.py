"""The images that training, evaluation and diagnosis look at."""

from diffrun_worker.data.images import Images, fits, prepare, require_classes, to_unit
from diffrun_worker.data.load import load_images
from diffrun_worker.data.order import DataOrder

__all__ = ["DataOrder", "Images", "fits", "load_images", "prepare", "require_classes", "to_unit"]
