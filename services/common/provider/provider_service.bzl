"""One macro behind every platform's BUILD file, so that the seven look alike."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")

_COMMON = [
    "//proto/switchyard/chat/v1:chat_cc",
    "//proto/switchyard/signing/v1:signing_cc",
    "//services/common/provider",
    "//services/common/provider:answer_stream",
    "//services/common/provider:attachments",
    "//services/common/status:reason",
    "@debian//:absl",
    "@debian//:boost_json",
]

def provider_service(name, hdrs, parts):
    """A platform: one library for each pure part, the provider itself, and its program.

    Args:
      name: the platform.
      hdrs: what the all-in-one program may include.
      parts: file name without ending -> what it depends on besides the common libraries.
    """
    for part, deps in parts.items():
        cc_library(
            name = part,
            srcs = [part + ".cc"],
            hdrs = [part + ".h"],
            visibility = ["//tests:__subpackages__"],
            deps = deps + _COMMON,
        )

    cc_library(
        name = name,
        srcs = ["provider.cc"],
        hdrs = hdrs,
        visibility = [
            "//deploy:__subpackages__",
            "//tests:__subpackages__",
        ],
        deps = [":" + part for part in parts] + _COMMON + [
            "//services/common/log",
            "//services/common/time:clock",
        ],
    )

    cc_binary(
        name = "switchyard-" + name,
        srcs = ["main.cc"],
        visibility = ["//visibility:public"],
        deps = [
            ":" + name,
            "//services/common/provider:provider_main",
        ],
    )
