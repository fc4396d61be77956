"""`ddpm-64`: the UNet of DDPM (Ho et al. 2020) for 64×64 images, 57,892,995 parameters.

    side   channels   encoder                                 decoder
    64        64      2 residual blocks                       3 residual blocks
    32       128      2 residual blocks                       3 residual blocks
    16       256      2 residual blocks, each + attention     3 residual blocks, each + attention
     8       512      2 residual blocks                       3 residual blocks
     8       512      middle: residual block + attention, residual block

Attention has 4 heads. The timestep, as sinusoids of width 64 through an MLP of width 256, is added to the features
of every residual block.
"""

from collections.abc import Sequence

from diffrun_worker.models.backbone import Plan, UNetBackbone, registered
from diffrun_worker.models.layers import Conditioning


class DDPMUNet64(UNetBackbone):
    """Predicts the noise of 64×64 images; the timestep is added in its residual blocks."""

    @registered
    def __init__(
        self,
        sample_size: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        block_out_channels: Sequence[int] = (64, 128, 256, 512),
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
                encoder_blocks=2,
                attention_size=16,
                heads=4,
                groups=32,
                time_channels=4 * block_out_channels[0],
                conditioning=Conditioning.ADDITIVE,
            )
        )
