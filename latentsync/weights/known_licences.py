"""The licences of published weights."""

from __future__ import annotations

from latentsync.weights.model_file import Licence

APACHE = Licence("Apache-2.0", "any use, with the notice kept")
MIT = Licence("MIT", "any use, with the notice kept")
OPENRAIL = Licence("OpenRAIL++-M", "any use but the harmful ones that it lists")
MUSETALK_OPENRAIL = Licence(
    "CreativeML OpenRAIL-M by its hub page, any purpose by its README",
    "any use but the harmful ones that the licence lists, commercial use too",
)
SLAB = Licence("S-Lab License 1.0", "non-commercial use only", ask_as="CodeFormer")
INSIGHTFACE = Licence(
    "insightface model licence", "non-commercial research only", ask_as="insightface"
)
UNSTATED = Licence(
    "licence not stated", "its authors state none; ask them before any use", ask_as="S3FD"
)
LICENCES_TO_ACCEPT = {licence.ask_as: licence for licence in (SLAB, INSIGHTFACE, UNSTATED)}
