"""A foreign gRPC server (grpcio) for this library's client. Prints "ready" and, over TCP, its port; stops when its input ends.

Arguments: the address, and for TLS the files of the authority, the certificate and its key (clients must show one then).
"""
import sys
from concurrent import futures

import grpc


def read(path):
    with open(path, "rb") as file:
        return file.read()


def fail(request, context):
    number, text = request.decode().split(" ", 1)
    code = next(code for code in grpc.StatusCode if code.value[0] == int(number))
    context.set_trailing_metadata((("reason", "asked for"), ("grpc-status-details-bin", b"\x08\x05")))
    context.abort(code, text)


def fail_late(request, context):
    yield request
    context.set_trailing_metadata((("late", "yes"),))
    context.abort(grpc.StatusCode.ABORTED, "late")


def throw(request, context):
    raise ValueError("a secret")


def mirror(request, context):
    received = [(name, value) for name, value in context.invocation_metadata() if name.startswith("x-")]
    context.send_initial_metadata(received)
    context.set_trailing_metadata([("trailing-" + name, value) for name, value in received])
    return request


def hang(requests, context):
    context.send_initial_metadata(())
    for _ in requests:
        pass
    yield from ()


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def who(request, context):
    names = context.auth_context().get("x509_common_name")
    return b"CN=" + names[0] if names else b"nobody"


def compressed(request, context):
    context.set_compression(grpc.Compression.Gzip)
    return request


methods = {
    "Unary": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
    "Grow": grpc.unary_unary_rpc_method_handler(lambda request, context: bytes(int(request))),
    "Join": grpc.stream_unary_rpc_method_handler(lambda requests, context: b"".join(requests)),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Duplex": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Throw": grpc.unary_unary_rpc_method_handler(throw),
    "Mirror": grpc.unary_unary_rpc_method_handler(mirror),
    "Hang": grpc.stream_stream_rpc_method_handler(hang),
    "Who": grpc.unary_unary_rpc_method_handler(who),
    "Compressed": grpc.unary_unary_rpc_method_handler(compressed),
    "Remaining": grpc.unary_unary_rpc_method_handler(lambda request, context: b"%d" % int(context.time_remaining() * 1000)),
}
server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=16),
    options=[("grpc.max_send_message_length", 64 << 20), ("grpc.max_receive_message_length", 8 << 20)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kvfs.test.Echo", methods),))
if len(sys.argv) > 2:
    credentials = grpc.ssl_server_credentials([(read(sys.argv[4]), read(sys.argv[3]))], read(sys.argv[2]), True)
    port = server.add_secure_port(sys.argv[1], credentials)
else:
    port = server.add_insecure_port(sys.argv[1])
server.start()
print("ready", port, flush=True)
sys.stdin.read()
server.stop(None)
