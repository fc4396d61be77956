"""The networks that predict noise, by name.

    registry         a name -> a network with random weights (build_model)
    ddpm64           `ddpm-64`, 58 M parameters
    enhanced_unet64  `enhanced-unet-64`, 14.2 M parameters
    unet_cifar32     `unet-cifar32`, 1.98 M parameters
    backbone         the U that these three are       (layers: what it is made of)
    unet2d           `unet2d`, any UNet2DModel of diffusers by its configuration
    store            a trained network -> a folder that diffusers and `sampling.loader` load

All are called as `unet(x, t, return_dict=False)[0]`: x [N, C, H, W] in [-1, 1], t int64 [N] or a single one;
conditional ones take `class_labels` int64 [N] besides.
"""

from diffrun_worker.models.registry import ARCHITECTURES, build_model

__all__ = ["ARCHITECTURES", "build_model"]
