"""What every scenario begins with: a machine of its own with the package installed."""

import sys
import unittest

from machine import ABOARD, Machine
from service import Service


class OnAMachine(unittest.TestCase):
    """A scenario; where it fails, the end of the machine's journal is shown."""

    package = "deb"
    """Its kind."""
    installed = True
    """Whether it is there from the beginning."""

    last_words = ""

    def setUp(self):
        self.machine = self.enterContext(Machine())
        if self.installed:
            self.install("old")

    def tearDown(self):
        self.last_words = self.machine.run("journalctl", "--no-pager", "--lines=100", "--output=short-precise")

    def run(self, result=None):
        bad = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > bad:
            print(f"--- the journal of: {self}\n{self.last_words}", file=sys.stderr)
        return result

    def install(self, which):
        """Installs or upgrades a package that is aboard: `old`, `new` or `broken`; what was said."""
        package = ABOARD / f"{which}.{self.package}"
        if self.package == "rpm":
            # This is no machine of rpm's own, so that it knows nothing of the C library here.
            return self.machine.run("rpm", "--upgrade", "--nodeps", package)
        return self.machine.run("dpkg", "--install", package)

    def service(self, name=None, port=8000):
        """An arbiter of this machine."""
        return Service(self.machine, name, port)

    def assert_gone(self, pids):
        """None of these processes is there any more."""
        self.assertEqual([pid for pid in pids if self.machine.is_alive(pid)], [])
