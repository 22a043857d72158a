"""A Slurm cluster of one node on the loopback, from Debian's packages slurm-wlm and munge.

Its daemons are processes of the test, its files lie in a folder of the test; nothing is installed,
configured or left behind on the machine. The node claims more cores than it may have.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORES = 4
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")

# Preemption and time limits are what a production cluster does, with shorter times: a preempted job
# is told so by its own signal and has GraceTime to end.
_CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=1001
ReturnToService=2
KillWait=10
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=20 State=UP
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP
"""


class Cluster:
    """A running cluster; `environment` is what Slurm's programs need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *words: str) -> str:
        """The output of one of Slurm's programs; raises where it fails."""
        answer = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True, timeout=60
        )
        return answer.stdout

    def logs(self) -> str:
        """The ends of the daemons' logs, for a failed test."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in logs)


def missing_programs() -> list[str]:
    """What a cluster needs and this machine lacks."""
    return [name for name in PROGRAMS if _program(name) is None]


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start the daemons, wait for the node, and end them afterwards."""
    cluster = Cluster(folder)
    _configure(folder)
    daemons = []
    try:
        daemons.append(_start(cluster, *_munged(folder)))
        _wait_for(cluster, (folder / "munge" / "socket").exists, "munged")
        daemons.append(_start(cluster, "slurmctld", "-D"))
        daemons.append(_start(cluster, "slurmd", "-D"))
        _wait_for(cluster, lambda: _node_is_idle(cluster), "the node")
        yield cluster
    finally:
        _end_jobs(cluster)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)


def _configure(folder: Path) -> None:
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700, parents=True)
    (folder / "munge").chmod(0o711)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    values = {
        "folder": folder,
        "host": socket.gethostname().partition(".")[0],
        "user": _user(),
        "cores": CORES,
        "controller_port": _free_port(),
        "node_port": _free_port(),
    }
    (folder / "slurm.conf").write_text(_CONFIG.format(**values))


def _munged(folder: Path) -> list[str]:
    files = {"key-file": "key", "socket": "socket", "log-file": "log", "pid-file": "pid"}
    files["seed-file"] = "seed"
    paths = [f"--{option}={folder / 'munge' / name}" for option, name in files.items()]
    # --force: a temporary folder is more open than munged likes for its files.
    return ["munged", "--foreground", "--force", "--num-threads=2", *paths]


def _start(cluster: Cluster, name: str, *words: str) -> subprocess.Popen[bytes]:
    with open(cluster.folder / f"{name}-output.log", "wb") as log:
        return subprocess.Popen(
            [str(_program(name)), *words],
            env=cluster.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for(cluster: Cluster, condition, what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} is not up after {seconds:.0f} s\n{cluster.logs()}")
        time.sleep(0.1)


def _node_is_idle(cluster: Cluster) -> bool:
    try:
        return "idle" in cluster.ask("sinfo", "--noheader", "--format=%T")
    except subprocess.SubprocessError:
        return False


def _end_jobs(cluster: Cluster) -> None:
    try:
        cluster.ask("scancel", "--me")
        _wait_for(cluster, lambda: not cluster.ask("squeue", "--noheader"), "an empty queue")
    except (subprocess.SubprocessError, RuntimeError):
        pass  # the daemons may be gone already; they are ended in any case


def _program(name: str) -> str | None:
    """Daemons lie in /usr/sbin, which is not everybody's path."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    return shutil.which(name, path=path)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
