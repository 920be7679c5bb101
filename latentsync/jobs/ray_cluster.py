"""What all work on the machines of a Ray cluster has in common: joining it, its machines, a process
on one of them. Ray is imported here and in jobs.cluster alone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from latentsync.errors import ConfigError
from latentsync.pipeline.segments.identity import code_hash
from latentsync.weights import licences

logger = logging.getLogger(__name__)

CORES = 8
"""CPU cores of a worker on a machine without GPUs: more make one job hardly faster."""
RESTARTS = 5
"""Of one worker that is lost while its machine is there."""
LOOK = 0.5
"""Seconds between two looks at a task."""
CONTROL = "control"
"""Of a worker's process, the thread that answers while a task runs."""
REACHED_IN = 10.0
"""Seconds in which a cluster has to answer."""
WAITS_LONG = 30.0
"""Seconds after which a worker that cannot start is said."""

Share = tuple[float, float]
"""CPU cores and GPUs of a worker."""


def connected(address: str) -> tuple[Any, bool]:
    """Ray, connected to the cluster, and whether it was not before."""
    try:
        import ray
    except ImportError as error:
        remedy = "install it: pip install '.[cluster]'"
        raise ConfigError("--cluster needs Ray", "not installed", remedy) from error
    if ray.is_initialized():
        return ray, False
    if address.startswith("ray://"):
        remedy = "run the command on a machine of the cluster, or submit it as a job"
        raise ConfigError("--cluster", address, remedy)
    starts = address == "auto" and not os.environ.get("RAY_ADDRESS")
    how: dict[str, Any] = {"address": address}
    if starts:
        how = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        _reach(os.environ["RAY_ADDRESS"] if address == "auto" and not starts else address)
        ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError("--cluster", address, f"no cluster there: {reason}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)  # Ray has put its own there
    return ray, True


def _reach(address: str) -> None:
    """Raises OSError at once where nobody listens; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_IN).close()


def shares(resources: Mapping[str, float], workers: int | None) -> list[Share]:
    """CPU cores and GPUs of each worker of a machine."""
    cores, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if not cores and not gpus:
        return []
    count = workers or int(gpus) or max(1, int(cores // CORES))
    return [(_whole(cores / count), _whole(gpus / count))] * count


def _whole(amount: float) -> float:
    """Ray divides one core, or one GPU, but not several."""
    return float(int(amount)) if amount >= 1 else amount


def machines(ray: Any) -> dict[str, Mapping[str, float]]:
    """Id and resources of each machine that can be used: those with GPUs, if there are any, as what
    is made on a CPU is not exactly what a GPU makes."""
    alive = {n["NodeID"]: n["Resources"] for n in ray.nodes() if n["Alive"]}
    with_gpu = {node: has for node, has in alive.items() if has.get("GPU", 0)}
    return with_gpu or alive


def new_process(ray: Any, kind: type, node: str, share: Share, *given: Any) -> Any:
    """An actor of the class on that machine. given: to its __init__."""
    cores, gpus = share
    variables = {"OPENCV_FOR_THREADS_NUM": "1", licences.VARIABLE: licences.accepted()}
    made = ray.remote(concurrency_groups={CONTROL: 1})(kind).options(
        num_cpus=cores, num_gpus=gpus, runtime_env={"env_vars": variables}, **on(node)
    )
    return made.remote(*given)


def on(node: str) -> dict[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def check_version(about: tuple[str, str]) -> None:
    """about: hash of the program, and name, of another machine. Raises ConfigError: it has another
    version."""
    code, machine = about
    if code != code_hash():
        remedy = "install the version of this machine there"
        raise ConfigError("a machine has another version of latentsync", machine, remedy)


class Waiting:
    """Says once, after a while, that a worker cannot start: others use the machine."""

    def __init__(self, node: str, share: Share) -> None:
        self._node, self._share, self._said = node, share, False
        self._begin = time.monotonic()

    def look(self) -> None:
        if not self._said and time.monotonic() - self._begin > WAITS_LONG:
            self._said = True
            what = "a worker waits for %g cores and %g GPUs of machine %s"
            logger.warning(what, *self._share, self._node[:8])
