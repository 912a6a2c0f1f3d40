"""The programs that tests through the whole relay start."""

RELAY_DATA = [
    "//deploy/all_in_one:switchyard",
    "//tests/simulator:switchyard-simulator",
]

PROGRAM_DATA = RELAY_DATA + [
    "//edge:switchyard-edge",
    "//services/deepseek:switchyard-deepseek",
    "//services/session:switchyard-session",
    "//services/signing:switchyard-signing",
]
