"""The service under systemd: starting, reloading, crashing, stopping."""

import json
import sys
import time
import unittest

from case import OnAMachine
from machine import wait_for
from service import PROGRAM, RUNS, SHOP

EXAMPLES = "/usr/share/doc/arbiter/examples"

STUBBORN = """
[companion.stubborn]
command = ["sh", "-c", 'trap "{on_term}" TERM; while :; do sleep 0.1; done']
stop_timeout = {patience}
"""
"""A companion that does `on_term` when it is asked to stop."""


class Reloads(OnAMachine):
    """`systemctl reload`."""

    def test_reload_returns_when_the_new_workers_serve_and_loses_no_request(self):
        service = self.service()
        service.start()
        before = service.workers()
        with service.under_load():
            service.systemctl("reload")
            status = service.status()
        self.assertEqual(status["arbiter"]["generation"], 2)
        processes = status["workers"]["processes"]
        self.assertEqual([worker["generation"] for worker in processes if worker["ready"]], [2, 2])
        self.assertFalse(set(before) & set(service.workers()))
        self.assertEqual(service.show("ActiveState", "NRestarts"), RUNS)

    def test_reload_fails_with_a_bad_configuration_and_what_runs_goes_on(self):
        service = self.service()
        service.start()
        before, main = service.workers(), service.pid
        service.configure('[workers]\ncomand = ["true"]\n')
        self.assertNotEqual(self.machine.try_to("systemctl", "reload", service.unit).returncode, 0)
        self.assertEqual((service.workers(), service.pid), (before, main))
        self.assertEqual(service.show("ActiveState"), "active")
        self.assertIn("comand", "\n".join(service.journal()))

    def test_reload_fails_when_the_new_workers_do_and_what_runs_goes_on(self):
        service = self.service()
        service.start()
        before = service.workers()
        with service.under_load():
            service.configure(worker="/bin/false")
            self.assertNotEqual(self.machine.try_to("systemctl", "reload", service.unit).returncode, 0)
        self.assertEqual(service.workers(), before)

    def test_reload_by_hup_returns_when_the_new_workers_serve(self):
        if self.machine.systemd < 253:
            self.skipTest("Type=notify-reload is there from systemd 253 on")
        service = self.service()
        service.drop_in(self.machine.path(f"{EXAMPLES}/notify-reload.conf").read_text())
        service.start()
        before = service.workers()
        with service.under_load():
            for generation in (2, 3):
                service.systemctl("reload")
                self.assertEqual(service.status()["arbiter"]["generation"], generation)
        self.assertFalse(set(before) & set(service.workers()))
        self.assertEqual(service.show("ActiveState", "NRestarts"), RUNS)


class Activation(OnAMachine):
    """A socket of systemd's."""

    def test_the_first_client_starts_it_and_a_restart_refuses_nobody(self):
        service = self.service()
        service.configure()
        service.systemctl("stop")
        example = self.machine.path(f"{EXAMPLES}/arbiter.socket").read_text()
        self.machine.write("/etc/systemd/system/arbiter.socket", example)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "arbiter.socket")
        self.assertEqual(service.show("ActiveState"), "inactive")
        self.assertIn("hello from worker", self.machine.ask(8000))
        self.assertEqual(service.show("ActiveState"), "active")
        before = service.pid
        with service.under_load():
            service.systemctl("restart")
        self.assertNotEqual(service.pid, before)
        service.systemctl("stop")
        self.assertIn("hello from worker", self.machine.ask(8000))


class Crashes(OnAMachine):
    """Of arbiter and of the manager."""

    def test_an_arbiter_that_hangs_is_found_by_the_watchdog_and_begins_anew(self):
        service = self.service()
        service.drop_in("[Service]\nWatchdogSec=2\n")
        service.start()
        before = service.processes()
        # It is fed: nothing happens for longer than the watchdog waits.
        time.sleep(3)
        self.assertEqual(service.processes(), before)
        self.machine.kill("STOP", service.pid)
        self.begins_anew(service, before)
        self.assertIn("atchdog", "\n".join(service.journal()))

    def test_a_killed_arbiter_begins_anew_and_nothing_is_left_of_the_old(self):
        service = self.service()
        service.start()
        before = service.processes()
        self.machine.kill("KILL", service.pid)
        self.begins_anew(service, before)

    def test_a_killed_manager_is_none_of_systemds_business(self):
        service = self.service()
        service.start()
        before, manager = service.processes(), service.status()["manager"]["pid"]
        self.machine.kill("KILL", manager)
        wait_for("another manager", lambda: service.status()["manager"]["pid"] not in (None, manager))
        service.wait_until_whole()
        self.assertEqual(service.processes(), before)
        self.assertEqual(service.show("NRestarts"), "0")

    def begins_anew(self, service, before):
        anew = RUNS | {"NRestarts": "1"}
        wait_for("systemd restarts it", lambda: service.show("ActiveState", "NRestarts") == anew)
        service.wait_until_whole()
        self.assert_gone(before)
        self.assertEqual(len(service.processes()), len(before))
        self.assertIn("hello from worker", service.answer())
        wait_for("its processes are all there is", lambda: self.served(service) == 3)

    def served(self, service):
        """How many processes of the demonstration there are."""
        return self.machine.run("sh", "-c", "ls -l /proc/[0-9]*/exe 2>/dev/null || true").count(f"{PROGRAM}\n")


class Ends(OnAMachine):
    """Stops, and what systemd makes of exit statuses."""

    ORDER = ("stopping", "while draining", "clock: stop requested", "clock: stopped", "arbiter ends")
    """The last lines with these words; the workers need the clock."""

    def test_a_stop_is_in_order_and_leaves_nothing(self):
        service = self.service()
        service.start()
        everybody = service.processes()
        service.systemctl("stop")
        self.assert_gone(everybody)
        self.assertEqual(service.show("ActiveState"), "inactive")
        lines = service.journal()
        told = [max(at for at, line in enumerate(lines) if words in line) for words in self.ORDER]
        self.assertEqual(told, sorted(told), lines)
        self.assertFalse(self.machine.path(service.socket).exists())

    def test_a_stop_takes_longer_than_systemd_waits_because_arbiter_asks_for_more_time(self):
        service = self.service()
        service.drop_in("[Service]\nTimeoutStopSec=2\n")
        service.start("name = 'slow'\n" + STUBBORN, on_term="sleep 6; exit 0", patience=30)
        service.wait_until_whole()
        begun = time.monotonic()
        service.systemctl("stop")
        self.assertGreater(time.monotonic() - begun, 5)
        self.assertIn("arbiter ends with status 0", service.journal())
        self.assertEqual(service.show("ActiveState"), "inactive")

    def test_a_stop_that_had_to_kill_something_is_a_success(self):
        service = self.service()
        service.start("name = 'killed'\n" + STUBBORN, on_term="true", patience=1)
        service.wait_until_whole()
        service.systemctl("stop")
        self.assertIn("arbiter ends with status 5", service.journal())
        self.assertEqual(service.show("ActiveState"), "inactive")

    def test_what_another_start_would_not_mend_is_not_tried_again(self):
        halting = "[workers]\ncommand = ['sh', '-c', 'exit {code}']\n"
        for status, text in {2: "nonsense = 1\n", 3: halting, 4: halting}.items():
            with self.subTest(status=status):
                service = self.service(f"wrong-{status}")
                service.configure(text, code=status)
                self.assertNotEqual(self.machine.try_to("systemctl", "start", service.unit).returncode, 0)
                known = service.show("ActiveState", "NRestarts", "ExecMainStatus")
                wanted = {"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": str(status)}
                self.assertEqual(known, wanted)

    def test_what_another_start_may_mend_is_tried_again(self):
        first, second = self.service("first"), self.service("second")
        first.start()
        second.configure()
        self.machine.run("systemctl", "start", "--no-block", second.unit)
        wait_for("another try", lambda: int(second.show("NRestarts")) > 0)
        first.systemctl("stop")
        wait_for("a try that succeeds", lambda: second.show("ActiveState") == "active")


class Surroundings(OnAMachine):
    """What it is given by its unit, and what it shows."""

    def test_systemctl_status_says_how_it_is(self):
        service = self.service()
        service.start()
        self.assertIn('Status: "running, 2 of 2 workers ready"', service.systemctl("status"))

    def test_the_journal_knows_what_is_urgent_and_no_line_tells_the_time_twice(self):
        service = self.service()
        service.start()
        service.configure("nonsense = 1\n")
        self.machine.try_to("systemctl", "reload", service.unit)
        lines = [json.loads(line) for line in service.journal("--output=json")]
        lines = [line for line in lines if line["SYSLOG_IDENTIFIER"] != "systemd"]
        lines = [(int(line["PRIORITY"]), line["MESSAGE"]) for line in lines]
        self.assertIn((6, "running, 2 workers ready"), lines)
        urgent = [message for priority, message in lines if priority <= 3]
        self.assertTrue(any("reload failed" in message for message in urgent), lines)
        for _, message in lines:
            self.assertNotRegex(message, r"^<|\d\d:\d\d:\d\d")

    def test_one_that_stops_leaves_the_others_their_directory(self):
        one, other, main = self.service("one", 8010), self.service("other", 8020), self.service()
        for service in (main, one, other):
            service.start()
        for leaving, staying in ((one, (main, other)), (main, (other,))):
            leaving.systemctl("stop")
            for service in staying:
                service.ctl("ping")
                service.wait_until_whole()
        one.start()
        one.ctl("ping")

    def test_the_units_are_what_systemd_understands(self):
        units = [f"/usr/lib/systemd/system/{name}" for name in ("arbiter.service", "arbiter@.service")]
        # No machine here has a reader of manuals, which are checked by man/build.
        words = ["systemd-analyze", "verify", "--man=no", *units, f"{EXAMPLES}/arbiter.socket"]
        said = self.machine.run(*words)
        self.assertEqual([line for line in said.splitlines() if "arbiter" in line], [])
        exposure = self.machine.run("systemd-analyze", "security", "--no-pager", "arbiter.service")
        print(f"  {exposure.splitlines()[-1]}", file=sys.stderr)

    def test_the_sandbox_lets_a_worker_be_the_user_that_the_package_made(self):
        service = self.service()
        service.start('user = "arbiter"\n' + SHOP)
        owners = {self.machine.path(f"proc/{pid}").stat().st_uid for pid in service.workers()}
        self.assertEqual(owners, {int(self.machine.run("id", "--user", "arbiter"))})
        self.assertNotIn(0, owners)
        self.assertIn("hello from worker", service.answer())


if __name__ == "__main__":
    unittest.main()
