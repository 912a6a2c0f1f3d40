"""Programs that a test starts: what they say, and how they end."""

import re
import signal
import subprocess
import threading
import time

PATIENCE_S = 30


class Program:
    """One that runs; `with` ends it. Its output is read as it comes, so that it never waits for its reader."""

    def __init__(self, command, variables, patience_s=PATIENCE_S):
        self._patience_s = patience_s
        self._more = threading.Condition()
        self._said = b""
        self._silent = False
        self._process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for piece in iter(lambda: self._process.stdout.read1(65536), b""):
            with self._more:
                self._said += piece
                self._more.notify_all()
        with self._more:
            self._silent = True
            self._more.notify_all()

    @property
    def pid(self):
        return self._process.pid

    @property
    def output(self):
        with self._more:
            return self._said.decode(errors="replace")

    def wait_for(self, pattern):
        """The match of what it says; an error if it ends or stays silent."""
        until = time.monotonic() + self._patience_s
        with self._more:
            while True:
                found = re.search(pattern, self._said.decode(errors="replace"))
                if found:
                    return found
                left = until - time.monotonic()
                if self._silent or left <= 0:
                    raise AssertionError(f"it did not say {pattern!r}, but:\n{self._said.decode(errors='replace')}")
                self._more.wait(left)

    def runs(self):
        return self._process.poll() is None

    def signal(self, number=signal.SIGTERM):
        self._process.send_signal(number)

    def stop(self):
        """@return its exit status"""
        self.signal()
        return self.wait()

    def wait(self):
        """@return its exit status, with all of its output read"""
        try:
            status = self._process.wait(self._patience_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"it does not end; it said:\n{self.output}") from error
        self._reader.join(self._patience_s)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.runs():
            self._process.kill()
            self._process.wait()
        self._reader.join(self._patience_s)
        self._process.stdout.close()
