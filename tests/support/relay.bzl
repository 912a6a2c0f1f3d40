"""The programs that tests through the whole relay start."""

PLATFORMS = [
    "deepseek",
    "doubao",
    "kimi",
    "metaso",
    "minimax",
    "qwen",
    "zhipu",
]

RELAY_DATA = [
    "//deploy/all_in_one:switchyard",
    "//tests/simulator:switchyard-simulator",
]

PROGRAM_DATA = RELAY_DATA + [
    "//edge:switchyard-edge",
    "//services/session:switchyard-session",
    "//services/signing:switchyard-signing",
] + ["//services/%s:switchyard-%s" % (platform, platform) for platform in PLATFORMS]
