"""Containers as podman runs them, and the images they are made from.

It is meant to be used in a process namespace of the caller's, which ends what would be left behind (see `run`).
"""

import collections
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

SCRATCH = pathlib.Path(os.environ["SCRATCH"])
"""Where everything is that must be gone in the end; `build` and `app` in it are roots of images."""
REPOSITORY = pathlib.Path(__file__).parents[3]
PATIENCE = 20.0

numbers = itertools.count(1)


def wait_for(what, probe, patience=PATIENCE):
    """Returns what `probe` gives as soon as that is true."""
    deadline = time.monotonic() + patience
    while not (seen := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.02)
    return seen


def podman(*words, check=True, **options):
    """Runs podman; what it says on standard output, or, without `check`, everything about its end."""
    ended = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=60, **options)
    if check and ended.returncode != 0:
        raise AssertionError(f"podman {' '.join(map(str, words))}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout if check else ended


def block(page, language):
    """The first block of that language in a page of the documentation."""
    text = (REPOSITORY / "docs" / page).read_text()
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE).group(1)


def build(name, recipe, context, *options):
    """Makes an image by a recipe."""
    podman(
        "build", "--isolation=chroot", "--format=docker", f"--tag=localhost/{name}", "--file=-", *options, context,
        input=recipe,
    )


def build_images():
    """Makes `arbiter`, `shop-app` and, of both, `shop`: by the recipes that users are given."""
    if podman("images", "--quiet"):
        return
    # Instead of its first stage there is what that would have made.
    recipe = (REPOSITORY / "packaging/container/Containerfile").read_text()
    build("arbiter", recipe, SCRATCH / "build", f"--build-context=build={SCRATCH / 'build'}")
    build("shop-app", "FROM scratch\nCOPY . /\n", SCRATCH / "app")
    context = pathlib.Path(tempfile.mkdtemp())
    (context / "arbiter.toml").write_text("")
    build("shop", block("containers.md", "dockerfile"), context)


Process = collections.namedtuple("Process", "parent is_zombie inside")


class Container:
    """One of the image `shop`, from its start until it is removed at the end of a `with`.

    `configuration` becomes /etc/arbiter/arbiter.toml, if given; the directory `srv` is /srv/site inside.
    """

    def __init__(self, configuration=None, options=(), arguments=()):
        self.name = f"arbiter-{next(numbers)}"
        place = pathlib.Path(tempfile.mkdtemp(prefix=self.name))
        self.srv = place / "srv"
        self.srv.mkdir()
        # Whoever the container's user is.
        self.srv.chmod(0o777)
        self.pidfile = place / "pid"
        volumes = [f"--volume={self.srv}:/srv/site"]
        if configuration is not None:
            (place / "etc").mkdir()
            (place / "etc/arbiter.toml").write_text(configuration)
            volumes.append(f"--volume={place / 'etc'}:/etc/arbiter:ro")
        self.output = (place / "output").open("w+b")
        command = [
            "podman", "run", "--rm", f"--name={self.name}", f"--cgroup-parent=/{SCRATCH.name}",
            f"--pidfile={self.pidfile}", *volumes, *options, "localhost/shop", *arguments,
        ]
        # Where conmon leaves a file when memory has run out.
        self.process = subprocess.Popen(
            command, cwd=place, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            podman("rm", "--force", "--time=0", self.name, check=False)
        self.process.wait(PATIENCE)
        self.output.close()

    def log(self):
        """What was written to its standard output and error."""
        return pathlib.Path(self.output.name).read_text()

    def wait_until_running(self):
        """Returns when all that is configured has been ready."""
        wait_for(f"{self.name} runs", lambda: "running, " in self.log() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def wait(self):
        """The exit status, as whoever started the container sees it."""
        return self.process.wait(PATIENCE)

    @property
    def pid(self):
        """arbiter's, as seen from outside."""
        return int(self.pidfile.read_text())

    def signal(self, name):
        podman("kill", f"--signal={name}", self.name)

    def execute(self, *words):
        """Runs a command inside; its end."""
        return podman("exec", self.name, *words, check=False)

    def status(self):
        """What `arbiterctl status` says."""
        ended = self.execute("arbiterctl", "--json", "status")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def get(self, path):
        """What a worker answers on /srv/site/app.sock."""
        client = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.settimeout(PATIENCE)
        client.sock.connect(str(self.srv / "app.sock"))
        client.request("GET", path)
        answer = client.getresponse().read().decode()
        client.close()
        return answer

    def processes(self):
        """Every process below arbiter by its number outside: its parent, whether it is a zombie, its number inside."""
        seen = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
            except OSError:
                continue
            inside = int(lines["NSpid"].split()[-1])
            seen[int(entry.name)] = Process(int(lines["PPid"]), lines["State"].strip()[0] == "Z", inside)
        below = {}
        level = {self.pid}
        while level:
            level = {pid for pid, process in seen.items() if process.parent in level}
            below |= {pid: seen[pid] for pid in level}
        return below

    def outside(self, inside):
        """The number outside of who has that one inside."""
        (found,) = [pid for pid, process in self.processes().items() if process.inside == inside]
        return found

    def kill(self, inside):
        os.kill(self.outside(inside), signal.SIGKILL)

    def threads(self, inside):
        """How many it has."""
        return len(os.listdir(f"/proc/{self.outside(inside)}/task"))
