"""`unet-cifar32`: a small UNet for the 32×32 images of CIFAR-10, 1,980,387 parameters.

    side   channels   encoder                                 decoder
    32        32      1 residual block                        2 residual blocks
    16        32      1 residual block + attention            2 residual blocks, each + attention
     8        64      1 residual block                        2 residual blocks
     4        96      1 residual block                        2 residual blocks
     4        96      middle: residual block + attention, residual block

Attention has 4 heads. The timestep, as sinusoids of width 32 through an MLP of width 256, is added to the features
of every residual block. It is small on purpose: a baseline that trains in minutes, not one that draws well.
"""

from collections.abc import Sequence

from diffrun_worker.models.backbone import Plan, UNetBackbone, registered
from diffrun_worker.models.layers import Conditioning


class UNetCifar32(UNetBackbone):
    """Predicts the noise of 32×32 images; the timestep is added in its residual blocks."""

    @registered
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 3,
        out_channels: int = 3,
        block_out_channels: Sequence[int] = (32, 32, 64, 96),
    ) -> None:
        """`block_out_channels` are the widths of the levels, each a multiple of the 8 groups.

        Raises ValueError where `sample_size` does not halve as often as there are levels below the first.
        """
        super().__init__(
            Plan(
                sample_size=sample_size,
                in_channels=in_channels,
                out_channels=out_channels,
                widths=block_out_channels,
                encoder_blocks=1,
                attention_size=16,
                heads=4,
                groups=8,
                time_channels=8 * block_out_channels[0],
                conditioning=Conditioning.ADDITIVE,
            )
        )
