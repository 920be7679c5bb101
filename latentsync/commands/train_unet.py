"""Train LatentSync's U-Net on clips: stage 1, stage 2, or a fine-tuning.

python -m scripts.train_unet --config configs/training/tiny.yaml
accelerate launch -m scripts.train_unet --config configs/training/stage2_512.yaml
python -m scripts.train_unet --config configs/training/stage2.yaml --dry_run
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentsync.commands.training import Request, build_parser, train

if TYPE_CHECKING:
    from latentsync.training.run import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    parser = build_parser("train_unet", "LatentSync's U-Net", "--unet_config_path")
    return train(parser, arguments, _setup)


def _setup(request: Request) -> Run:
    from latentsync.training.settings.load import load_unet_training  # slow to import
    from latentsync.training.unet_run import unet_run

    settings = load_unet_training(request.config, request.overrides)
    return unet_run(
        settings,
        output=request.output,
        resume=request.resume,
        dry=request.dry_run,
        stop=request.stop,
    )
