"""Tensors as other things: a state as an image, an array as a file's bytes, and back.

Nothing here is ever a pickle: `pt` files are safetensors, which torch users read with `safetensors.torch.load_file`
and which hold one tensor under the name `latent`.
"""

import io
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from diffrun_contracts.params.infer import LatentFormat
from diffrun_worker.errors import invalid_params
from diffrun_worker.sampling.images import to_pixels

LATENT_KEY = "latent"
"""The tensor's name in a safetensors file."""

LATENT_SUFFIX = {LatentFormat.NPY: "npy", LatentFormat.PT: "safetensors"}
"""The file's ending: `pt` is named for what it is, since a `.pt` is a pickle to every tool."""


def latent_to_image(latent: Tensor) -> NDArray[np.uint8]:
    """One state [C, H, W] in [-1, 1] as an image, uint8 [H, W, C]; what lies outside is cut off.

    Rounded as all images of diffrun are: round(255 · clamp(x/2 + 1/2, 0, 1)).
    """
    _check_dims(latent, 3, "[C, H, W]")
    image: NDArray[np.uint8] = to_pixels(latent.detach().unsqueeze(0).float())[0].cpu().numpy()
    return image


def latents_to_images(latents: Tensor) -> NDArray[np.uint8]:
    """States [N, C, H, W] in [-1, 1] as images, uint8 [N, H, W, C]."""
    _check_dims(latents, 4, "[N, C, H, W]")
    images: NDArray[np.uint8] = to_pixels(latents.detach().float()).cpu().numpy()
    return images


def image_to_latent(image: NDArray[np.uint8]) -> Tensor:
    """An image, uint8 [H, W, C] or [H, W], as a state: float32 [C, H, W] in [-1, 1].

    The inverse of `latent_to_image` to half a level, 1/255.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise invalid_params(f"image: uint8 [H, W, C] or [H, W] is needed; got {image.dtype} {list(image.shape)}")
    pixels = image[:, :, None] if image.ndim == 2 else image
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)) / 127.5 - 1


def to_numpy(tensor: Tensor) -> NDArray[np.generic]:
    """A tensor of any device as an array of the same shape; bfloat16, which NumPy does not know, as float32."""
    host = tensor.detach().cpu()
    array: NDArray[np.generic] = (host.float() if host.dtype == torch.bfloat16 else host).numpy()
    return array


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """The bytes of an `.npy` file (format 1.0). The header is made once a shape: captures write thousands alike."""
    return _npy_header(array.dtype, array.shape) + array.tobytes(order="C")


@lru_cache(maxsize=64)
def _npy_header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    if dtype.hasobject:
        raise invalid_params("array: objects would be pickled; give numbers")
    buffer = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def serialize(array: NDArray[np.generic], fmt: LatentFormat) -> bytes:
    """The bytes of a latent's file in either format."""
    if LatentFormat(fmt) is LatentFormat.NPY:
        return npy_bytes(array)
    return bytes(save_safetensors({LATENT_KEY: torch.from_numpy(np.ascontiguousarray(array))}))


def deserialize(data: bytes, fmt: LatentFormat) -> Tensor:
    """What `serialize` wrote, on the CPU. Raises PermanentError `InvalidParams` for anything else, pickles included."""
    fmt = LatentFormat(fmt)
    try:
        if fmt is LatentFormat.NPY:
            return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
        tensor: Tensor = load_safetensors(data)[LATENT_KEY]
    except (ValueError, EOFError, KeyError, TypeError, SafetensorError) as error:
        wanted = "an .npy array" if fmt is LatentFormat.NPY else f"a safetensors file with the tensor {LATENT_KEY!r}"
        raise invalid_params(f"latent: {len(data)} bytes are not {wanted}: {error}") from error
    return tensor


def _check_dims(tensor: Tensor, dims: int, shape: str) -> None:
    if tensor.ndim != dims or tensor.shape[-3] not in (1, 3):
        raise invalid_params(f"latent: {shape} with C = 1 or 3 is needed; got {list(tensor.shape)}")
