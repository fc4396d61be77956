"""Configurations of class-conditional UNets that are known to work, by the data set that they are for.

Each is the `model.config` of an `unet2d`: what it leaves out (the size and channels of the images, the number of
classes) follows from the data.
"""

from collections.abc import Mapping
from typing import Any

EMNIST_UNET: Mapping[str, Any] = {
    "block_out_channels": [64, 128, 128],
    "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": 32,
    "norm_num_groups": 32,
}
"""For EMNIST (Cohen et al. 2017): three levels divide both its own 28×28 and the usual 32×32; attention at 14 and 7."""
