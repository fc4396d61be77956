"""`enhanced-unet-64`: a UNet that is told the timestep by FiLM, for 64×64 images, 14,213,923 parameters.

    side   channels   encoder                                 decoder
    64        64      1 residual block                        2 residual blocks
    32        96      1 residual block                        2 residual blocks
    16       192      1 residual block + attention            2 residual blocks, each + attention
     8       256      1 residual block                        2 residual blocks
     8       256      middle: residual block + attention, residual block

Attention has 4 heads. The timestep, as sinusoids of width 64 through an MLP of width 256, scales and shifts the
normalised features of every residual block (Perez et al. 2018), which lets a level of noise switch features on and
off where an addition can only move them.
"""

from collections.abc import Sequence

from diffrun_worker.models.backbone import Plan, UNetBackbone, registered
from diffrun_worker.models.layers import Conditioning


class EnhancedUNet64(UNetBackbone):
    """Predicts the noise of 64×64 images; the timestep scales and shifts the features of its residual blocks."""

    @registered
    def __init__(
        self,
        sample_size: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        block_out_channels: Sequence[int] = (64, 96, 192, 256),
    ) -> None:
        """`block_out_channels` are the widths of the levels, each a multiple of the 32 groups.

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
                groups=32,
                time_channels=4 * block_out_channels[0],
                conditioning=Conditioning.FILM,
            )
        )
