"""What is left to chance in a chunk, and what stays of the face: no network is needed."""

from __future__ import annotations

import torch
from torch import Tensor

from latentsync.generate.sampling import composite, per_chunk_noise, upstream_noise

CPU = torch.device("cpu")


def test_upstream_s_noise_is_that_of_the_global_generator() -> None:
    torch.manual_seed(1247)
    initial = torch.randn(1, 4, 1, 8, 8)
    expected = [(torch.randn(n, 4, 8, 8), torch.randn(n, 4, 8, 8)) for n in (16, 16, 3)]
    torch.manual_seed(0)
    drawn = list(upstream_noise(1247, (16, 16, 3), 8, device=CPU))
    assert torch.initial_seed() == 0, "the global generator is not ours to seed"
    for noise, (masked, reference) in zip(drawn, expected, strict=True):
        assert torch.equal(noise.initial, initial)
        assert torch.equal(noise.masked, masked)
        assert torch.equal(noise.reference, reference)


def test_a_chunk_s_own_noise_depends_on_seed_and_number_alone() -> None:
    def parts(seed: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
        noise = per_chunk_noise(seed, index, 16, 8, device=CPU)
        return noise.initial, noise.masked, noise.reference

    first, again, next_one, other = parts(5, 0), parts(5, 0), parts(5, 1), parts(6, 0)
    assert all(map(torch.equal, first, again))
    assert torch.equal(first[0], next_one[0]), "one initial picture for the whole film"
    drawn = [first[0], other[0]] + [
        part for chunk in (first, next_one, other) for part in chunk[1:]
    ]
    numbers = torch.stack([part.flatten()[:256] for part in drawn])
    alike = torch.corrcoef(numbers) - torch.eye(len(drawn))
    assert alike.abs().max() < 0.3, "five deviations of what chance gives"


def test_faces_stay_where_they_are_kept_and_only_there() -> None:
    decoded, faces = torch.full((2, 3, 2, 2), 0.5), torch.full((2, 3, 2, 2), -1.0)
    keep = torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    expected = torch.tensor([[-1.0, 0.5], [-0.25, 0.5]]).expand(2, 3, 2, 2)
    assert torch.equal(composite(decoded, faces, keep), expected)
