"""arbiter as the first process of a container."""

import io
import json
import os
import signal
import subprocess
import tarfile
import threading
import tomllib
import unittest

import yaml

from container import Container, block, build_images, podman, wait_for

setUpModule = build_images

SERVER = """
[[listener]]
address = "unix:/srv/site/app.sock"
[workers]
command = ["uvicorn"]
"""


class Image(unittest.TestCase):
    def test_it_holds_the_three_programs_and_their_c_library_alone(self):
        made = podman("create", "localhost/arbiter").strip()
        archive = subprocess.run(["podman", "export", made], capture_output=True, check=True).stdout
        podman("rm", made)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name for member in tar if member.isfile() and member.size > 0}
        libraries = {name for name in files if name.startswith("lib")}
        programs = {"usr/bin/arbiter", "usr/bin/arbiterctl", "usr/libexec/arbiter/companion-manager"}
        self.assertEqual(files - libraries, programs)
        self.assertTrue(any("libc" in name for name in libraries), libraries)
        self.assertLess(len(libraries), 5, libraries)

    def test_it_needs_no_shell_and_says_how_it_is_stopped_and_asked(self):
        self.assertRegex(podman("run", "--rm", "localhost/arbiter", "--version"), r"^arbiter \d")
        for image in "arbiter", "shop":
            made = json.loads(podman("image", "inspect", f"localhost/{image}"))[0]
            settings = made["Config"]
            self.assertEqual(settings["StopSignal"], "SIGTERM")
            self.assertEqual(made["Healthcheck"]["Test"][0], "CMD")
            self.assertEqual([word.rsplit("/")[-1] for word in settings["Entrypoint"]], ["arbiter"])
            self.assertIn("RUNTIME_DIRECTORY=/run/arbiter", settings["Env"])


class Life(unittest.TestCase):
    def test_who_asks_inside_is_answered_without_further_words(self):
        with Container(SERVER).wait_until_running() as container:
            self.assertEqual(container.status()["arbiter"]["pid"], 1)
            self.assertEqual(container.execute("arbiterctl", "status", "--check").returncode, 0)
            podman("healthcheck", "run", container.name)

    def test_nobody_stays_a_zombie_and_who_is_killed_is_replaced(self):
        def leaving_an_orphan(program):
            return f'["busybox", "sh", "-c", "(busybox setsid busybox sleep 3600 &) ; exec {program}"]'

        workers = SERVER.replace('["uvicorn"]', leaving_an_orphan("uvicorn"))
        companion = f"[companion.outbox]\ncommand = {leaving_an_orphan('shop-outbox')}\n"
        with Container(workers + companion).wait_until_running() as container:
            before = container.status()
            manager, (worker, outbox) = before["manager"]["pid"], self.supervised(before)

            daemons = {container.pid, container.outside(manager)}

            def orphans():
                """Whom a daemon has taken on: nobody knows their numbers, and their own parents have gone."""
                known = {manager, worker, outbox}
                processes = container.processes().items()
                return [pid for pid, one in processes if one.inside not in known and one.parent in daemons]

            left = wait_for("an orphan of each", lambda: len(found := orphans()) == 2 and found)
            container.kill(manager)

            def are_of_the_first_process():
                processes = container.processes()
                return all(processes[orphan].parent == container.pid for orphan in left)

            wait_for("both to be the first process's", are_of_the_first_process)
            for orphan in left:
                os.kill(orphan, signal.SIGKILL)
            container.kill(worker)

            def settled():
                status = container.status()
                now = {status["manager"]["pid"], *self.supervised(status)}
                processes = container.processes().values()
                alive = {process.inside for process in processes}
                # The new worker has left an orphan, too.
                return now < alive and len(alive) == 4 and not any(process.is_zombie for process in processes)

            wait_for("what was killed to be reaped and replaced", settled)
            self.assertNotIn(worker, self.supervised(container.status()))
            self.assertIn(outbox, self.supervised(container.status()))
            container.signal("TERM")
            self.assertEqual(container.wait(), 0, container.log())

    def supervised(self, status):
        """The numbers of a worker and a companion."""
        return [status["workers"]["processes"][0]["pid"], status["companions"][0]["processes"][0]["pid"]]

    def test_any_user_will_do_and_a_root_that_cannot_be_written_to(self):
        closed = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"]
        ways = [
            ["--user=10001:10001"],
            [*closed, "--tmpfs=/run"],
            [*closed, "--tmpfs=/run/arbiter", "--user=10001:10001"],
        ]
        containers = [self.enterContext(Container(SERVER, options)) for options in ways]
        for options, container in zip(ways, containers):
            with self.subTest(options=options):
                container.wait_until_running()
                self.assertEqual(container.execute("arbiterctl", "status", "--check").returncode, 0)
                self.assertRegex(container.get("/"), r"^1 \d+ 1$")
                self.assertNotIn("WARN", container.log())

    def test_the_example_for_docker_compose(self):
        (service,) = yaml.safe_load(block("containers.md", "yaml"))["services"].values()
        self.assertTrue(service["read_only"])
        options = [
            "--read-only",
            "--read-only-tmpfs=false",
            f"--user={service['user']}",
            f"--cpus={service['cpus']}",
            f"--memory={service['mem_limit']}",
            *(f"--cap-drop={capability}" for capability in service["cap_drop"]),
            *(f"--security-opt={option}" for option in service["security_opt"]),
            *(f"--tmpfs={place}" for place in service["tmpfs"]),
        ]
        with Container(SERVER, options).wait_until_running() as container:
            self.assertEqual(container.execute("arbiterctl", "status", "--check").returncode, 0)
            self.assertNotIn("WARN", container.log())

    def test_as_many_workers_as_the_limit_on_processors_allows(self):
        def count(*options):
            command = ["--rm", *options, "localhost/shop", "-w", "cpus", "--print-config", "--", "uvicorn"]
            return tomllib.loads(podman("run", *command))["workers"]["count"]

        self.assertEqual(count(), len(os.sched_getaffinity(0)))
        self.assertEqual(count("--cpus=1"), 1)

    def test_a_worker_that_takes_more_memory_than_there_is_dies_alone_and_the_log_says_why(self):
        hungry = SERVER.replace('"uvicorn"', '"uvicorn", "--hold", "/srv/site/mebibytes"')
        with Container(hungry, ["--memory=64m", "--memory-swap=64m"]).wait_until_running() as container:
            (container.srv / "mebibytes").write_text("200")
            container.kill(container.status()["workers"]["processes"][0]["pid"])
            wait_for("it to be told", lambda: "out of memory" in container.log())
            (container.srv / "mebibytes").unlink()
            wait_for("another one", lambda: container.execute("arbiterctl", "status", "--check").returncode == 0)


class End(unittest.TestCase):
    def test_a_term_finishes_what_is_under_way(self):
        with Container(SERVER).wait_until_running() as container:
            answers = []
            slow = threading.Thread(target=lambda: answers.append(container.get("/sleep/1")))
            slow.start()
            worker = container.status()["workers"]["processes"][0]["pid"]
            wait_for("the request", lambda: container.threads(worker) > 1)
            container.signal("TERM")
            self.assertEqual(container.wait(), 0, container.log())
            slow.join()
            self.assertEqual(answers, [f"1 {worker} 1"])

    def test_the_exit_status_is_that_of_arbiter(self):
        endings = {
            1: '[hooks]\non_starting = ["busybox", "false"]\n',
            2: "[workers]\ncomand = []\n",
            3: '[workers]\ncommand = ["busybox", "sh", "-c", "exit 3"]\n',
            4: '[workers]\ncommand = ["busybox", "sh", "-c", "exit 4"]\n',
            6: '[companion.db]\ncommand = ["busybox", "false"]\nrestart = "never"\ncritical = true\n',
        }
        containers = {code: self.enterContext(Container(configuration)) for code, configuration in endings.items()}
        for code, container in containers.items():
            with self.subTest(code=code):
                self.assertEqual(container.wait(), code, container.log())

    def test_the_exit_status_tells_that_something_had_to_be_killed(self):
        stubborn = SERVER.replace('"uvicorn"', '"uvicorn", "--ignore-term"') + "graceful_timeout = 0.2\n"
        with Container(stubborn).wait_until_running() as container:
            container.signal("TERM")
            self.assertEqual(container.wait(), 5, container.log())
