"""A foreign gRPC client (grpcio) that calls the tests' server in every way. Prints one line per check that failed, then "done".

Arguments: the target, and for TLS the files of the authority, the certificate and its key.
Messages are plain bytes: no generated code is needed.
"""
import sys
import threading

import grpc

SERVICE = "/kvfs.test.Echo/"
target = sys.argv[1]
options = [("grpc.max_send_message_length", 64 << 20), ("grpc.max_receive_message_length", 64 << 20)]


def read(path):
    with open(path, "rb") as file:
        return file.read()


if len(sys.argv) > 2:
    credentials = grpc.ssl_channel_credentials(read(sys.argv[2]), read(sys.argv[4]), read(sys.argv[3]))
    channel = grpc.secure_channel(target, credentials, options)
else:
    channel = grpc.insecure_channel(target, options)

unary = channel.unary_unary
patience = 60


def check(name, condition, more=""):
    if not condition:
        print("failed:", name, more, flush=True)


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None


def forms():
    check("unary", unary(SERVICE + "Unary")(b"hello", timeout=patience) == b"hello")
    check("empty", unary(SERVICE + "Unary")(b"", timeout=patience) == b"")
    check("client stream", channel.stream_unary(SERVICE + "Join")(iter([b"a", b"", b"bc"]), timeout=patience) == b"abc")
    numbers = [int(each) for each in channel.unary_stream(SERVICE + "Count")(b"2000", timeout=patience)]
    check("server stream", numbers == list(range(2000)))
    sent = [b"%d" % each for each in range(2000)]
    check("duplex", list(channel.stream_stream(SERVICE + "Duplex")(iter(sent), timeout=patience)) == sent)


def big_messages():
    for length in (16383, 16384, 100_000, 4 << 20):
        body = bytes(index % 251 for index in range(length))
        check(f"{length} bytes", unary(SERVICE + "Unary")(body, timeout=patience) == body)
    error = code_of(lambda: unary(SERVICE + "Unary")(bytes((4 << 20) + 1), timeout=patience))
    check("too big a request", error and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error)
    error = code_of(lambda: unary(SERVICE + "Grow")(b"%d" % ((4 << 20) + 1), timeout=patience))
    check("too big a response", error and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error)


def errors():
    for code in grpc.StatusCode:
        if code == grpc.StatusCode.OK:
            continue
        request = f"{code.value[0]} 100% \u00fc\n".encode()
        error = code_of(lambda: unary(SERVICE + "Fail")(request, timeout=patience))
        check(code.name, error and error.code() == code and error.details() == "100% \u00fc\n", error)
        trailers = dict(error.trailing_metadata())
        check("trailers", trailers.get("reason") == "asked for" and trailers.get("grpc-status-details-bin") == b"\x08\x05", trailers)
    error = code_of(lambda: unary(SERVICE + "Missing")(b"", timeout=patience))
    check("missing", error and error.code() == grpc.StatusCode.UNIMPLEMENTED, error)
    late = channel.unary_stream(SERVICE + "FailLate")(b"first", timeout=patience)
    check("first of a failing stream", next(late) == b"first")
    error = code_of(lambda: next(late))
    check("late failure", error and error.code() == grpc.StatusCode.ABORTED, error)


def metadata():
    sent = (("x-text", "some, text"), ("x-bytes-bin", bytes(range(256))), ("empty-bin", b""))
    answer, call = unary(SERVICE + "Mirror").with_call(b"m", metadata=sent, timeout=patience)
    headers, trailers = dict(call.initial_metadata()), dict(call.trailing_metadata())
    for name, value in sent:
        check(f"header {name}", headers.get(name) == value, headers)
        check(f"trailer {name}", trailers.get("trailing-" + name) == value, trailers)


def endings():
    left = int(unary(SERVICE + "Remaining")(b"", timeout=patience))
    check("deadline travels", 0 < left <= (patience + 1) * 1000, left)  # grpcio rounds it up.
    error = code_of(lambda: list(channel.stream_stream(SERVICE + "Hang")(iter([]), timeout=0.3)))
    check("deadline", error and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error)
    call = channel.stream_stream(SERVICE + "Hang")(iter([]), timeout=patience)
    call.initial_metadata()
    call.cancel()
    error = code_of(lambda: next(call))
    check("cancel", error and error.code() == grpc.StatusCode.CANCELLED, error)


def compression():
    body = bytes(200_000)
    check("gzip", unary(SERVICE + "Unary")(body, compression=grpc.Compression.Gzip, timeout=patience) == body)
    sent = [body, b"x", b""]
    stream = channel.stream_stream(SERVICE + "Duplex")(iter(sent), compression=grpc.Compression.Gzip, timeout=patience)
    check("gzip stream", list(stream) == sent)
    error = code_of(lambda: unary(SERVICE + "Unary")(body, compression=grpc.Compression.Deflate, timeout=patience))
    check("deflate", error and error.code() == grpc.StatusCode.UNIMPLEMENTED, error)


def crowd():
    failures = []

    def run(number):
        for each in range(20):
            body = b"%d %d" % (number, each)
            if unary(SERVICE + "Unary")(body, timeout=patience) != body:
                failures.append(body)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("crowd", not failures, failures)


for part in (forms, big_messages, errors, metadata, endings, compression, crowd):
    part()
print("done", flush=True)
