"""The benchmark command: suites, cases and how they are timed."""
