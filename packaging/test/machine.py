"""A machine: a Debian booted by a systemd of its own, in a container without a network.

What it changes lies in memory and is gone with it, so that the next one begins anew. It is meant to be
booted in a process namespace of the caller's, which ends what would be left behind (see `run`).
"""

import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(os.environ["MACHINE_ROOT"])
"""The unpacked Debian, which is only read."""
CARGO = pathlib.Path(os.environ["MACHINE_CARGO"])
"""A directory that each machine sees at `ABOARD`: packages, and a program to serve."""
CGROUPS = [pathlib.Path(path) for path in os.environ["MACHINE_CGROUPS"].split()]
"""Control groups, one in each hierarchy that matters, for machines alone."""

ABOARD = pathlib.Path("/opt/cargo")
PATIENCE = 60.0
"""Seconds; nothing takes so long but on a machine that is busy with much else."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TERM": "dumb"}
"""What a command on a machine sees."""

RUNNING = ["systemctl", "is-system-running"]

numbers = itertools.count(1)


class Failed(AssertionError):
    """A command ended otherwise than it should have."""


def wait_for(what, probe, patience=PATIENCE):
    """Returns what `probe` gives as soon as that is true."""
    deadline = time.monotonic() + patience
    while not (seen := probe()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience:.0f} s: {what}")
        time.sleep(0.05)
    return seen


class Machine:
    """One, from its boot until it is switched off at the end of a `with`."""

    def __init__(self):
        self.groups = [group / f"{ROOT.parent.name}-{next(numbers)}" for group in CGROUPS]
        for group in self.groups:
            group.mkdir()
        enter = "".join(f"echo $$ >{group}/cgroup.procs && " for group in self.groups)
        nspawn = (
            "systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --link-journal=no"
            f" --console=pipe --volatile=overlay --bind-ro={CARGO}:{ABOARD} --directory={ROOT}"
        )
        self.container = subprocess.Popen(
            ["sh", "-c", f"{enter}exec {nspawn}"],
            env=ENVIRONMENT | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            self.first = wait_for("the machine's first process", self._first_process)
            wait_for("the machine runs", lambda: self.run(*RUNNING, check=False) == "running\n")
        except BaseException:
            self.container.kill()
            print(self.container.communicate()[0].decode(), file=sys.stderr)
            raise

    def _first_process(self):
        """The one that is process 1 there; before it there is another one for a moment."""
        if self.container.poll() is not None:
            raise Failed("no machine was booted")
        pid = self.container.pid
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:(.*)$", pathlib.Path(f"/proc/{child}/status").read_text(), re.M)
                if numbers.group(1).split()[1:] == ["1"]:
                    return child
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(int(self.first), signal.SIGRTMIN + 4)
        try:
            self.container.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.kill(int(self.first), signal.SIGKILL)
            self.container.wait()
        self.container.stdout.close()

    def inside(self, *command, all_of_it=True):
        """The words that run a command there; with `all_of_it=False` in its network alone."""
        return ["nsenter", "--target", self.first, "--all" if all_of_it else "--net", "--", *map(str, command)]

    def run(self, *command, check=True, patience=2 * PATIENCE):
        """What a command says on both its outputs; with `check` it has to succeed."""
        done = self.try_to(*command, patience=patience)
        if check and done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def try_to(self, *command, patience=2 * PATIENCE):
        """How a command ended, with what it said on both its outputs as `stdout`."""
        return subprocess.run(
            self.inside(*command),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=patience,
            check=False,
        )

    def path(self, path):
        """A file of its own, as it is seen from here."""
        return pathlib.Path(f"/proc/{self.first}/root/{path}")

    def write(self, path, text):
        """Makes a file, and the directories that lead to it."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def inode(self, path):
        """The number of a file, at the end of all links."""
        return int(self.run("stat", "--dereference", "--format=%i", path))

    def ask(self, port):
        """What a server on it answers to one client."""
        request = r"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        asking = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf '{request}' >&3 && cat <&3"
        return self.run("bash", "-c", asking)

    def kill(self, signal_name, pid):
        """Sends a signal."""
        self.run("sh", "-c", f"kill -{signal_name} {pid}")

    def is_alive(self, pid):
        """Whether a process is there and no zombie."""
        try:
            return self.path(f"proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    @property
    def systemd(self):
        """The number of its systemd's release."""
        return int(self.run("systemctl", "--version").split()[1])
