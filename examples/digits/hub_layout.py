"""Lays a trained model out as google/ddpm-cat-256 lies on the Hub, for the demo's small Hub.

    diffrun-worker run --file examples/digits/train.yaml --workspace DIR
    python examples/digits/hub_layout.py DIR/runs/<uid>/train/checkpoints/model examples/digits/checkpoint

Everything is at the root, weights in safetensors, the attention projections under the names of 2022 (`query`, `key`,
`value`, `proj_attn`), the configurations with the fields of that time. Whatever loads that model loads this one by the
same path.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

WEIGHTS = "diffusion_pytorch_model.safetensors"

# The fields that a configuration of 2022 has; all that came later must be at its default.
FIELDS = {
    "config.json": (
        "act_fn", "attention_head_dim", "block_out_channels", "center_input_sample", "down_block_types",
        "downsample_padding", "flip_sin_to_cos", "freq_shift", "in_channels", "layers_per_block",
        "mid_block_scale_factor", "norm_eps", "norm_num_groups", "out_channels", "sample_size",
        "time_embedding_type", "up_block_types",
    ),
    "scheduler_config.json": (
        "beta_end", "beta_schedule", "beta_start", "clip_sample", "num_train_timesteps", "trained_betas",
        "variance_type",
    ),
}  # fmt: skip
CLASSES = {
    "config.json": {"_class_name": "UNet2DModel", "_diffusers_version": "0.0.4"},
    "scheduler_config.json": {"_class_name": "DDPMScheduler", "_diffusers_version": "0.1.1"},
}
PIPELINE: dict[str, Any] = {
    "_class_name": "DDPMPipeline",
    "_diffusers_version": "0.1.1",
    "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
}

# What diffusers renames when it loads a checkpoint of that age, the other way round.
OLD_NAMES = (
    (re.compile(r"\.to_q\."), ".query."),
    (re.compile(r"\.to_k\."), ".key."),
    (re.compile(r"\.to_v\."), ".value."),
    (re.compile(r"\.to_out\.0\."), ".proj_attn."),
)


def old_name(name: str) -> str:
    """The name of a tensor as a checkpoint of 2022 has it."""
    for pattern, replacement in OLD_NAMES:
        name = pattern.sub(replacement, name)
    return name


def lay_out(model: Path, repository: Path) -> None:
    """Writes the repository's files."""
    repository.mkdir(parents=True, exist_ok=True)
    contents = {"model_index.json": PIPELINE}
    for name, fields in FIELDS.items():
        config = json.loads((model / name).read_text())
        contents[name] = CLASSES[name] | {field: config.get(field) for field in fields}
    for name, content in contents.items():
        (repository / name).write_text(json.dumps(content, indent=2) + "\n")
    weights = {old_name(name): tensor.contiguous() for name, tensor in load_file(model / WEIGHTS).items()}
    save_file(weights, repository / WEIGHTS, metadata={"format": "pt"})
    (repository / WEIGHTS).chmod(0o644)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of a trained UNet2DModel")
    parser.add_argument("repository", type=Path, help="folder of the repository")
    options = parser.parse_args()
    lay_out(options.model, options.repository)


if __name__ == "__main__":
    main()
