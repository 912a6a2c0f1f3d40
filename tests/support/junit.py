"""Runs unittest cases and tells Bazel of each: a test.xml with one entry a case, where XML_OUTPUT_FILE says."""

import os
import sys
import time
import unittest
from xml.sax.saxutils import escape, quoteattr


class _Result(unittest.TextTestResult):
    def __init__(self, *args):
        super().__init__(*args)
        self.cases = []
        self._begun = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._begun = time.monotonic()
        self.cases.append([test.id(), 0.0, None])

    def stopTest(self, test):
        super().stopTest(test)
        self.cases[-1][1] = time.monotonic() - self._begun

    def _fail(self, test, text):
        # A fixture that fails has no case of its own.
        if not self.cases or self.cases[-1][0] != test.id():
            self.cases.append([test.id(), 0.0, None])
        self.cases[-1][2] = text

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            before = self.cases[-1][2] or ""
            self.cases[-1][2] = f"{before}{subtest}: {err[1]}\n"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.cases.pop()  # what did not run has not passed


def _xml(name, cases):
    lines = [f'<testsuite name={quoteattr(name)} tests="{len(cases)}" '
             f'failures="{sum(1 for case in cases if case[2])}" errors="0">']
    for case, seconds, failure in cases:
        group, _, short = case.replace("__main__", name).rpartition(".")
        lines.append(f'  <testcase classname={quoteattr(group)} name={quoteattr(short)} time="{seconds:.3f}">')
        if failure:
            lines.append(f"    <failure>{escape(failure)}</failure>")
        lines.append("  </testcase>")
    return "\n".join(lines + ["</testsuite>", ""])


def main(name):
    """Runs the cases of the calling program, or those named by its arguments, and exits."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=_Result)
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(sys.argv[1:], sys.modules["__main__"]) if sys.argv[1:] else \
        loader.loadTestsFromModule(sys.modules["__main__"])
    result = runner.run(suite)
    if "XML_OUTPUT_FILE" in os.environ:
        with open(os.environ["XML_OUTPUT_FILE"], "w", encoding="utf-8") as file:
            file.write(_xml(name, result.cases))
    good = result.wasSuccessful() and result.testsRun > 0
    sys.exit(0 if good else 1)
