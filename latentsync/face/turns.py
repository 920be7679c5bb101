"""A hidden Markov model of turns: one state at a time speaks, and a change costs."""

from __future__ import annotations

import numpy as np


def posterior(
    logits: np.ndarray, present: np.ndarray, change: np.ndarray, *, nobody: float
) -> np.ndarray:
    """(K, N) logits of the states, present (K, N) bool, change (N,) -> (K, N) probabilities.

    Forward and backward recursion; the last state is nobody, who is always possible. nobody:
    its logit wherever a state is entered.
    """
    states, count = logits.shape
    emission = np.where(present, logits, -np.inf)
    prior = np.zeros(states)
    prior[-1] = nobody
    forward, backward = np.empty((2, count, states))
    message = prior
    for i in range(count):
        if i:
            message = _passed(forward[i - 1], change[i], prior)
        forward[i] = message + emission[:, i]
        forward[i] -= forward[i].max()
    message = np.zeros(states)
    for i in range(count - 1, -1, -1):
        backward[i] = message
        after = message + emission[:, i]
        stay, leave = after, _logsumexp(after + prior) + change[i]
        message = np.logaddexp(stay, leave)
        message -= message.max()
    joint = forward + backward
    joint -= joint.max(axis=1, keepdims=True)
    weights = np.exp(joint)
    return (weights / weights.sum(axis=1, keepdims=True)).T


def _passed(before: np.ndarray, change: float, prior: np.ndarray) -> np.ndarray:
    """The states' logits at the next instant: each stays, or is entered from any at its prior."""
    entered = _logsumexp(before) + change + prior
    return np.logaddexp(before, entered)


def _logsumexp(values: np.ndarray) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum()))
