"""The licences of published weights."""

from __future__ import annotations

from latentsync.weights.model_file import Licence

APACHE = Licence(
    "Apache-2.0",
    "any use, with the notice kept",
    url="https://www.apache.org/licenses/LICENSE-2.0",
)
MIT = Licence("MIT", "any use, with the notice kept", url="https://opensource.org/license/mit")
OPENRAIL = Licence(
    "OpenRAIL++-M",
    "any use but the harmful ones that it lists",
    url="https://huggingface.co/stabilityai/stable-diffusion-2/blob/main/LICENSE-MODEL",
)
BSD_2 = Licence(
    "BSD-2-Clause",
    "any use, with the notice kept",
    url="https://opensource.org/license/bsd-2-clause",
)
BSD_3_IMAGENET = Licence(
    "BSD-3-Clause",
    "any use, with the notice kept; computed from ImageNet, whose images have terms of their own",
    url="https://github.com/pytorch/vision/blob/main/LICENSE",
)
VIDEOMAE_PAGES = Licence(
    "Apache-2.0 by the hub page OpenGVLab/VideoMAE2",
    "any use; pages of other files of this network say CC BY-NC 4.0, ask its authors",
    url="https://huggingface.co/OpenGVLab/VideoMAE2",
)
SLAB = Licence(
    "S-Lab License 1.0",
    "non-commercial use only",
    ask_as="CodeFormer",
    url="https://github.com/sczhou/CodeFormer/blob/master/LICENSE",
)
MUSETALK_OPENRAIL = Licence(
    "CreativeML OpenRAIL-M by its hub page, any purpose by its README",
    "any use but the harmful ones that the licence lists, commercial use too",
    url="https://huggingface.co/spaces/CompVis/stable-diffusion-license",
)
INSIGHTFACE = Licence(
    "insightface model licence",
    "non-commercial research only",
    ask_as="insightface",
    url="https://github.com/deepinsight/insightface#license",
)
UNSTATED = Licence(
    "licence not stated", "its authors state none; ask them before any use", ask_as="S3FD"
)
LICENCES_TO_ACCEPT = {licence.ask_as: licence for licence in (SLAB, INSIGHTFACE, UNSTATED)}
