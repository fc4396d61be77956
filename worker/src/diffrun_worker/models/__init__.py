"""The networks that predict noise, by name.

    unet2d    any UNet2DModel of diffusers, by its configuration
    store     a trained network -> a folder that diffusers and `sampling.loader` load

All are called as `unet(x, t, return_dict=False)[0]`: x [N, C, H, W] in [-1, 1], t int64 [N] or a single one;
conditional ones take `class_labels` int64 [N] besides.
"""

from diffrun_worker.models.registry import ARCHITECTURES, build_model

__all__ = ["ARCHITECTURES", "build_model"]
