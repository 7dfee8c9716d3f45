"""The packages: installed, replaced while they serve, removed, purged."""

from case import OnAMachine
from service import RUNS


class Removed(OnAMachine):
    """A machine that has none at first, and none in the end."""

    installed = False

    def test_nothing_has_failed_after_the_installation_and_nothing_is_left_after_a_purge(self):
        before = self.files()
        self.install("old")
        self.assert_no_unit_failed()
        everybody, configurations = self.begin()
        self.machine.run("dpkg", "--remove", "arbiter")
        self.assert_gone(everybody)
        self.assertLessEqual(configurations, self.files())
        self.assert_no_unit_failed()
        self.machine.run("dpkg", "--purge", "arbiter")
        self.assertEqual(self.files() - before, set())
        self.assert_no_unit_is_known()

    def test_an_erased_rpm_leaves_nothing_but_what_it_has_not_brought(self):
        before, self.package = self.files(), "rpm"
        self.install("old")
        self.assert_no_unit_failed()
        everybody, _ = self.begin()
        self.machine.run("rpm", "--erase", "arbiter")
        self.assert_gone(everybody)
        # Directories such as /usr/share/licenses are there before on machines of rpm's own.
        left = {path for path in self.files() - before if "arbiter" in path}
        expected = {"/etc/arbiter", "/etc/arbiter/arbiter.toml.rpmsave", "/etc/arbiter/shop.toml"}
        self.assertEqual(left, expected)
        self.assert_no_unit_is_known()

    def begin(self):
        """Two services, enabled: their processes, and what is configured."""
        services = [self.service(), self.service("shop", 8010)]
        for service in services:
            service.start()
            service.systemctl("enable")
        everybody = [pid for service in services for pid in service.processes()]
        return everybody, {service.configuration for service in services}

    def assert_no_unit_failed(self):
        self.assertEqual(self.machine.run("systemctl", "is-system-running"), "running\n")

    def assert_no_unit_is_known(self):
        known = self.machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "arbiter*")
        self.assertEqual(known, "")

    WHATEVER_IS_INSTALLED = ("/var/lib/dpkg/", "/var/lib/rpm/", "/var/cache/", "/var/log/journal/", "/var/log/dpkg.log")
    """What changes with every package, and with the time."""

    def files(self):
        """Everything on the machine that stays over a boot, and what is in /run by name of arbiter. The user
        that the package makes stays: its number must not be given to another one."""
        found = self.machine.run("sh", "-c", "find / -xdev; find /run -name 'arbiter*'").splitlines()
        return {path for path in found if not path.startswith(self.WHATEVER_IS_INSTALLED)}


class Replaced(OnAMachine):
    """A newer package while it serves."""

    def test_a_newer_package_takes_over_in_place_and_no_request_is_lost(self):
        services = [self.service(), self.service("shop", 8010)]
        for service in services:
            service.start()
            service.wait_until_whole()
        before = [(service.processes(), service.program()) for service in services]
        with services[0].under_load(), services[1].under_load():
            self.install("new")
        for service, (processes, program) in zip(services, before):
            self.assertEqual(service.processes(), processes)
            self.assertNotEqual(service.program(), program)
            self.assertEqual(service.program(), self.machine.inode("/usr/bin/arbiter"))
            self.assertEqual(service.show("ActiveState", "NRestarts"), RUNS)
            service.systemctl("reload")
            service.systemctl("stop")
            self.assertEqual(service.show("ActiveState"), "inactive")

    def test_what_was_stopped_stays_stopped(self):
        services = [self.service(), self.service("shop", 8010)]
        for service in services:
            service.start()
            service.systemctl("stop")
        self.install("new")
        for service in services:
            self.assertEqual(service.show("ActiveState"), "inactive")


class ReplacedRpm(Replaced):
    """The same with the other kind of package."""

    package = "rpm"


class ReplacedInVain(OnAMachine):
    """A newer package whose program is broken."""

    def test_it_is_told_that_a_program_cannot_take_over_and_the_old_one_serves_on(self):
        service = self.service()
        service.start()
        service.wait_until_whole()
        before, program = service.processes(), service.program()
        with service.under_load():
            said = self.install("broken")
        self.assertIn("the old program goes on", said)
        self.assertEqual((service.processes(), service.program()), (before, program))
        # The next one is as good as ever.
        self.install("new")
        self.assertEqual(service.processes(), before)
        self.assertEqual(service.program(), self.machine.inode("/usr/bin/arbiter"))
