"""Train StableSyncNet, which tells whether lips and audio belong together.

python -m scripts.train_syncnet --config configs/training/syncnet.yaml
accelerate launch -m scripts.train_syncnet --config configs/training/syncnet.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentsync.commands.training import Request, build_parser, train

if TYPE_CHECKING:
    from latentsync.training.run import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    parser = build_parser("train_syncnet", "StableSyncNet", "--config_path")
    return train(parser, arguments, _setup)


def _setup(request: Request) -> Run:
    from latentsync.training.settings.load import load_syncnet_training  # slow to import
    from latentsync.training.syncnet_run import syncnet_run

    settings = load_syncnet_training(request.config, request.overrides)
    return syncnet_run(settings, output=request.output, resume=request.resume, dry=request.dry_run)
