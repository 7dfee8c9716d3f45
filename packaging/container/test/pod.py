"""The pod of packaging/kubernetes, run as a kubelet would run it."""

import math
import pathlib
import tempfile

import yaml

from container import REPOSITORY, Container

MANIFESTS = REPOSITORY / "packaging/kubernetes"


def manifest(kind):
    """The one of that kind."""
    resources = [yaml.safe_load(path.read_text()) for path in MANIFESTS.glob("*.yaml")]
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


class ConfigMap:
    """A directory with the files of the map, as a kubelet makes it and replaces it: by switching one link."""

    def __init__(self, files):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="configmap"))
        self.path.chmod(0o755)
        self.write(files)
        for name in files:
            (self.path / name).symlink_to(f"..data/{name}")

    def write(self, files):
        version = pathlib.Path(tempfile.mkdtemp(prefix="..version", dir=self.path))
        version.chmod(0o755)
        for name, text in files.items():
            (version / name).write_text(text)
        switched = self.path / "..data_tmp"
        switched.symlink_to(version.name)
        switched.rename(self.path / "..data")


class Pod(Container):
    """The deployment's only container."""

    def __init__(self, arguments=None):
        self.spec = manifest("Deployment")["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        self.configmap = ConfigMap(manifest("ConfigMap")["data"])
        arguments = self.container["args"] if arguments is None else arguments
        super().__init__(options=self.options(), arguments=arguments)

    def options(self):
        """What the manifest says, in podman's words."""
        user, closed = self.spec["securityContext"], self.container["securityContext"]
        assert closed["readOnlyRootFilesystem"] and not closed["allowPrivilegeEscalation"]
        limits = self.container["resources"]["limits"]
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        words = [
            "--read-only",
            "--read-only-tmpfs=false",
            "--security-opt=no-new-privileges",
            f"--user={user['runAsUser']}:{user['runAsGroup']}",
            *(f"--cap-drop={capability}" for capability in closed["capabilities"]["drop"]),
            f"--cpus={limits['cpu']}",
            f"--memory={limits['memory'].removesuffix('Mi')}m",
        ]
        for mount in self.container["volumeMounts"]:
            if "configMap" in volumes[mount["name"]]:
                words.append(f"--volume={self.configmap.path}:{mount['mountPath']}:ro")
            else:
                assert "emptyDir" in volumes[mount["name"]], volumes
                words.append(f"--mount=type=tmpfs,destination={mount['mountPath']},tmpfs-mode=0777")
        return words

    def probe(self, name):
        """The status with which the probe of that name ends."""
        return self.execute(*self.container[name]["exec"]["command"]).returncode

    def fetch(self, path):
        """What the service answers, asked inside: there is no network."""
        (port,) = self.container["ports"]
        address = f"http://127.0.0.1:{port['containerPort']}{path}"
        return self.execute("busybox", "wget", "-q", "-O", "-", address).stdout


def longest_stop(configuration):
    """How long arbiter may take from TERM to its end, in seconds, by an effective configuration."""
    companions = configuration.get("companion", {})

    def outliving(name):
        """Of a companion, and then of those that it needs up to its end."""
        needed = companions[name].get("after", [])
        return companions[name]["stop_timeout"] + max(map(outliving, needed), default=0)

    workers = configuration["workers"]
    serving = workers["graceful_timeout"] + max(map(outliving, workers.get("requires", [])), default=0)
    others = max(map(outliving, companions), default=0)
    # What is left 10 s after that is killed; who belongs to nobody has another 5.
    return math.ceil(configuration["pre_stop_delay"] + max(serving, others) + 10 + 5)
