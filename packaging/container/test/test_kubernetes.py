"""The manifests for Kubernetes, and the example for docker compose, which says the same."""

import tomllib
import unittest

import kubernetes_validate
import yaml

from container import block, build_images, wait_for
from pod import MANIFESTS, Pod, longest_stop, manifest

setUpModule = build_images

VERSIONS = "1.28", kubernetes_validate.latest_version()
"""Of Kubernetes: the oldest and the newest one that are looked at."""


class Manifests(unittest.TestCase):
    def test_they_are_valid(self):
        for path in MANIFESTS.glob("*.yaml"):
            for version in VERSIONS:
                with self.subTest(path=path.name, version=version):
                    kubernetes_validate.validate(yaml.safe_load(path.read_text()), version, strict=True)

    def test_a_stop_and_a_start_have_the_time_that_the_configuration_gives_them(self):
        with Pod(arguments=["-c", "/etc/arbiter/arbiter.toml", "--print-config"]) as pod:
            self.assertEqual(pod.wait(), 0, pod.log())
            configuration = tomllib.loads(pod.log())
        self.assertEqual(pod.spec["terminationGracePeriodSeconds"], longest_stop(configuration))
        (service,) = yaml.safe_load(block("containers.md", "yaml"))["services"].values()
        self.assertEqual(service["stop_grace_period"], f"{longest_stop(configuration)}s")
        (required,) = configuration["workers"]["requires"]
        longest = configuration["companion"][required]["start_timeout"] + configuration["workers"]["start_timeout"]
        probe = pod.container["startupProbe"]
        self.assertGreater(probe["periodSeconds"] * probe["failureThreshold"], longest)

    def test_names_and_labels_fit_together(self):
        deployment, service, configmap = map(manifest, ("Deployment", "Service", "ConfigMap"))
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(deployment["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(service["spec"]["selector"], labels)
        with_configuration = deployment["spec"]["template"]["spec"]["volumes"][0]
        self.assertEqual(with_configuration["configMap"]["name"], configmap["metadata"]["name"])
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        self.assertEqual(service["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"])


class ThePod(unittest.TestCase):
    def test_its_configuration_is_right(self):
        with Pod(arguments=["-c", "/etc/arbiter/arbiter.toml", "--check-config"]) as pod:
            self.assertEqual(pod.wait(), 0, pod.log())
            self.assertEqual(pod.log(), "/etc/arbiter/arbiter.toml: ok\n")

    def test_from_its_start_to_its_end(self):
        with Pod() as pod:
            wait_for("the start", lambda: pod.probe("startupProbe") == 0)
            self.assertEqual((pod.probe("readinessProbe"), pod.probe("livenessProbe")), (0, 0))
            status = pod.status()
            self.assertEqual(status["workers"]["target"], int(pod.container["resources"]["limits"]["cpu"]))
            self.assertRegex(pod.fetch("/"), r"^1 \d+ 1$")

            # Another map, taken by a reload.
            changed = manifest("ConfigMap")["data"]["arbiter.toml"].replace("pre_stop_delay = 5", "pre_stop_delay = 2")
            pod.configmap.write({"arbiter.toml": changed})
            self.assertEqual(pod.execute("arbiterctl", "reload").returncode, 0)
            self.assertRegex(pod.fetch("/"), r"^1 \d+ 2$")

            # Not ready from the TERM on, and yet serving.
            pod.signal("TERM")
            self.assertEqual(wait_for("it to be not ready", lambda: pod.probe("readinessProbe")), 3)
            self.assertEqual(pod.probe("livenessProbe"), 0)
            self.assertRegex(pod.fetch("/"), r"^1 \d+ 2$")
            self.assertEqual(pod.wait(), 0, pod.log())
