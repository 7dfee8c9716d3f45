"""One arbiter on a machine, as systemd, arbiterctl and the journal show it."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys

from machine import ABOARD, ENVIRONMENT, Failed, wait_for

LOAD = pathlib.Path(__file__).resolve().parents[2] / "examples/webshop/load.py"
PROGRAM = ABOARD / "demo-worker"

RUNS = {"ActiveState": "active", "NRestarts": "0"}
"""What systemd knows of one that it has started once."""

SHOP = """
name = "{name}"
[[listener]]
name = "http"
address = "127.0.0.1:{port}"
[workers]
command = ["{worker}"]
count = 2
requires = ["clock"]
[companion.clock]
command = ["{program}", "--clock", "127.0.0.1:{clock}"]
[companion.ticker]
command = ["sleep", "infinity"]
"""
"""Two workers of the demonstration, a companion that they need, and one that they do not."""


class Service:
    """`arbiter.service`, or with a name `arbiter@NAME.service`."""

    def __init__(self, machine, name=None, port=8000):
        self.machine = machine
        self.name = name
        self.port = port
        self.unit = f"arbiter@{name}.service" if name else "arbiter.service"
        self.configuration = f"/etc/arbiter/{name or 'arbiter'}.toml"
        self.arbiterctl = ["arbiterctl", "-i", name] if name else ["arbiterctl"]
        self.socket = f"/run/arbiter/{name}/control.sock" if name else "/run/arbiter/control.sock"

    def configure(self, text=SHOP, **also):
        """Writes its configuration: `text`, in which words in braces stand for what is named here."""
        words = {"name": self.name or "shop", "port": self.port, "clock": self.port + 1}
        words |= {"program": PROGRAM, "worker": PROGRAM} | also
        self.machine.write(self.configuration, text.format(**words))

    def drop_in(self, text):
        """Adds to its unit."""
        self.machine.write(f"/etc/systemd/system/{self.unit}.d/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def systemctl(self, verb, **options):
        """What systemctl says, which has to succeed."""
        return self.machine.run("systemctl", verb, self.unit, **options)

    def start(self, text=SHOP, **also):
        """Configured and started, anew if the package has started it already: it is ready then."""
        self.configure(text, **also)
        self.systemctl("restart")

    def show(self, *properties):
        """What systemd knows of it: one property, or several as a dictionary."""
        asked = "--property=" + ",".join(properties)
        lines = self.machine.run("systemctl", "show", asked, self.unit).splitlines()
        known = dict(line.split("=", 1) for line in lines)
        return known if len(properties) > 1 else known[properties[0]]

    @property
    def pid(self):
        """Its main process."""
        return int(self.show("MainPID"))

    def ctl(self, *words, **options):
        """What arbiterctl says, which has to succeed."""
        return self.machine.run(*self.arbiterctl, *words, **options)

    def status(self):
        """Its status."""
        return json.loads(self.ctl("--json", "status"))

    def workers(self):
        """The processes of its workers, in the order of their slots."""
        processes = sorted(self.status()["workers"]["processes"], key=lambda process: process["slot"])
        return [process["pid"] for process in processes]

    def processes(self):
        """All its processes but the manager: its own, the workers', the companions'."""
        return [self.pid, *self.workers(), *(one["processes"][0]["pid"] for one in self.status()["companions"])]

    def program(self):
        """Which file runs, as a number that no other file has."""
        return self.machine.inode(f"/proc/{self.pid}/exe")

    def is_whole(self):
        """Whether everything that is configured runs."""
        return self.machine.try_to(*self.arbiterctl, "status", "--check").returncode == 0

    def wait_until_whole(self):
        """Waits for that."""
        wait_for(f"everything of {self.unit} runs", self.is_whole)

    def journal(self, *options):
        """Its lines in the journal, oldest first."""
        self.machine.run("journalctl", "--sync")
        words = ["journalctl", "--quiet", "--no-pager", f"--unit={self.unit}", *(options or ["--output=cat"])]
        return self.machine.run(*words).splitlines()

    def answer(self):
        """What the workers say to one client."""
        return self.machine.ask(self.port)

    def clients(self):
        """The connections that were made to it in the last minute, as far as the kernel remembers them."""
        table = (line.split()[1:3] for line in self.machine.path("proc/1/net/tcp").read_text().splitlines())
        return {f"{near} {far}" for near, far in table if f":{self.port:04X}" in f"{near}{far}"}

    def wait_for_clients(self):
        """Waits until some more have been here."""
        before = self.clients()
        wait_for(f"clients of port {self.port}", lambda: len(self.clients() - before) > 20)

    @contextlib.contextmanager
    def under_load(self):
        """Clients ask all the while; in the end not one request may have failed."""
        words = ["python3", "-B", LOAD, "--url", f"http://127.0.0.1:{self.port}", "--get", "/", "--seconds", 120]
        command = self.machine.inside(*words, "--rate", 300, "--connections", 6, all_of_it=False)
        load = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        try:
            self.wait_for_clients()
            yield
            self.wait_for_clients()
        finally:
            load.send_signal(signal.SIGTERM)
            said, _ = load.communicate(timeout=60)
        seen = json.loads(said)
        if seen["failed"] or not seen["ok"]:
            raise Failed(f"requests to {self.unit}: {said}")
        print(f"  {self.unit}: {seen['ok']} requests, none failed, {seen['latency_ms']}", file=sys.stderr)
