"""cc_proto: one .proto file as a C++ library of its messages and, where it has a service, its gRPC stubs."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def cc_proto(name, src, deps = [], service = False, visibility = None):
    """Generates and compiles one .proto file.

    Import paths, in .proto files and in C++, start below //proto: "switchyard/chat/v1/chat.proto" and
    "switchyard/chat/v1/chat.pb.h".

    Args:
      name: the cc_library.
      src: the .proto file.
      deps: cc_proto targets whose files it imports.
      service: whether to generate gRPC stubs (chat.grpc.pb.h) as well.
      visibility: who may use it.
    """
    stem = src[:-len(".proto")]
    kinds = [".pb"] + ([".grpc.pb"] if service else [])
    hdrs = [stem + kind + ".h" for kind in kinds]
    srcs = [stem + kind + ".cc" for kind in kinds]
    native.filegroup(
        name = name + "_proto",
        srcs = [src] + [dep + "_proto" for dep in deps],
        visibility = ["//proto:__subpackages__", "//tests:__subpackages__"],
    )
    grpc = " --grpc_out=$(GENDIR)/proto --plugin=protoc-gen-grpc=$(location @debian//:grpc_cpp_plugin)"
    native.genrule(
        name = name + "_gen",
        srcs = [src] + [dep + "_proto" for dep in deps],
        outs = hdrs + srcs,
        cmd = "$(location @debian//:protoc) -Iproto --cpp_out=$(GENDIR)/proto" + (grpc if service else "") +
              " $(location " + src + ")",
        tools = ["@debian//:protoc"] + (["@debian//:grpc_cpp_plugin"] if service else []),
    )
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = ["-Wno-unused-parameter"],
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = deps + ["@debian//:grpc" if service else "@debian//:protobuf"],
    )
