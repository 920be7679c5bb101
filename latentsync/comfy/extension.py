"""The nodes, as ComfyUI asks for them. README.md of the checkout's root says how they get there."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from latentsync.comfy.judge import LatentSyncJudge
from latentsync.comfy.lipsync import LatentSyncLipSync
from latentsync.comfy.people import LatentSyncPeople
from latentsync.comfy.restore import LatentSyncRestore


class LatentSyncExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LatentSyncLipSync, LatentSyncRestore, LatentSyncPeople, LatentSyncJudge]
