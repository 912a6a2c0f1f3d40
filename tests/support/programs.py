"""Programs that a test starts: what they say, and how they end."""

import os
import re
import selectors
import signal
import subprocess
import time

PATIENCE_S = 30


class Program:
    """One that runs; `with` ends it."""

    def __init__(self, command, variables, patience_s=PATIENCE_S):
        self._patience_s = patience_s
        self.output = ""
        self._process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)
        os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def pid(self):
        return self._process.pid

    def _read(self, until):
        """More of its output. @return whether there may be yet more"""
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            if not ready.select(max(0.0, until - time.monotonic())):
                return time.monotonic() < until
        piece = self._process.stdout.read()
        self.output += (piece or b"").decode(errors="replace")
        return piece != b""

    def wait_for(self, pattern):
        """The match of what it says; an error if it ends or stays silent."""
        until = time.monotonic() + self._patience_s
        while True:
            found = re.search(pattern, self.output)
            if found:
                return found
            if not self._read(until):
                raise AssertionError(f"it did not say {pattern!r}, but:\n{self.output}")

    def runs(self):
        return self._process.poll() is None

    def signal(self, number=signal.SIGTERM):
        self._process.send_signal(number)

    def stop(self):
        """@return its exit status"""
        self.signal()
        return self.wait()

    def wait(self):
        until = time.monotonic() + self._patience_s
        while self._read(until):
            pass
        try:
            return self._process.wait(max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"it does not end; it said:\n{self.output}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
