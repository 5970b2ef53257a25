"""A client that knows nothing but the .proto files, as their descriptors: works with a drive, without our code.

Arguments: the target, the descriptor set of the protos. Calls every method of the services that these have for clients. Prints one line
per check that failed, then "done".
"""
import socket
import struct
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

target, descriptors = sys.argv[1:3]
files = descriptor_pb2.FileDescriptorSet()
with open(descriptors, "rb") as file:
    files.ParseFromString(file.read())
pool = descriptor_pool.DescriptorPool()
for proto in files.file:
    pool.Add(proto)
factory = message_factory.MessageFactory(pool)
channel = grpc.insecure_channel(target)
patience = 60
has_pool = any(service.name == "Pool" for proto in files.file for service in proto.service)
called = set()
status_names = pool.FindEnumTypeByName("kvfs.v1.Status").values_by_number


def new(message, /, **fields):
    return factory.GetPrototype(pool.FindMessageTypeByName("kvfs.v1." + message))(**fields)


def method(service, name):
    called.add(f"{service}/{name}")
    described = pool.FindServiceByName("kvfs.v1." + service).methods_by_name[name]
    proto = descriptor_pb2.MethodDescriptorProto()
    described.CopyToProto(proto)
    kind = ("stream" if proto.client_streaming else "unary") + "_" + ("stream" if proto.server_streaming else "unary")
    reply = factory.GetPrototype(described.output_type)
    return getattr(channel, kind)(
        f"/kvfs.v1.{service}/{name}", request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reply.FromString)


def check(name, condition, more=""):
    if not condition:
        print("failed:", name, more, flush=True)


def name_of(status):
    return status_names[status].name


def crc32c(data):
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def administer():
    made = method("Admin", "CreateDrive")(new("CreateDriveRequest", name="foreign", kind=1), timeout=patience)
    check("create drive", name_of(made.status) == "STATUS_OK", made)
    again = method("Admin", "CreateDrive")(new("CreateDriveRequest", name="foreign", kind=1), timeout=patience)
    check("create it again", name_of(again.status) == "STATUS_EXISTS", again)
    listed = method("Admin", "ListDrives")(new("ListDrivesRequest"), timeout=patience)
    check("list", [drive.name for drive in listed.drives if drive.name == "foreign"] == ["foreign"], listed)
    return made.drive.id


def connect_directly(offer):
    """The connection that a server offers beside gRPC, by what direct.proto says of it; returns what asks there."""
    connection = socket.create_connection((target.rsplit(":", 1)[0], offer.port), timeout=patience)

    def receive(length):
        received = b""
        while len(received) < length:
            part = connection.recv(length - len(received))
            check("direct stream goes on", part)
            received += part
        return received

    def ask(message, reply):
        content = message.SerializeToString()
        connection.sendall(struct.pack("<III", len(content), crc32c(content), 0) + content)
        length, crc, attached = struct.unpack("<III", receive(12))
        content = receive(length)
        check("direct checksum", crc32c(content) == crc)
        return reply.FromString(content), receive(attached)

    connection.sendall(offer.ticket)
    receive(1)
    return ask


def read_from_copy(key, block, expected):
    """What any node of a pool gives from its own copies; one that is of none knows no sessions there. On a Unix socket nothing is offered."""
    offered = method("Block", "OfferReads")(new("OfferReadsRequest"), timeout=patience)
    check("offer of reads", offered.HasField("direct") != target.startswith("unix:"), offered)
    if offered.HasField("direct"):
        read = new("CopyRead", id=7, key=key, block=block, offset=100, length=len(expected))
        reply, attached = connect_directly(offered.direct)(read, type(new("CopyReadReply")))
        range_ = reply.range
        check("copy read", reply.id == 7 and name_of(reply.status) == ("STATUS_OK" if has_pool else "STATUS_SESSION_EXPIRED"), reply)
        if has_pool:
            check("copy's bytes", (range_.data or attached) == expected and range_.crc32c == crc32c(expected), reply)


def unary_session(drive):
    """Opens a session, makes a file, writes and reads it, without a stream."""
    opened = method("Drive", "Open")(new("OpenSession", drive="foreign"), timeout=patience)
    check("open", name_of(opened.status) == "STATUS_OK" and opened.key.drive == drive and opened.lease_ms > 0, opened)
    key = opened.key
    sequence = 0

    def ask(**operation):
        nonlocal sequence
        sequence += 1
        request = new("Request", session=key.session, id=sequence, slot=3, sequence=sequence, **operation)
        answer = method("Drive", "Call")(new("CallRequest", key=key, request=request), timeout=patience)
        check("id", answer.id == sequence, answer)
        return answer

    root = new("NodeReference", id=1)
    created = ask(create=new("Create", parent=root, name=b"hello", kind=1, mode=0o644, caller=new("Credentials", uid=5)))
    check("create", name_of(created.status) == "STATUS_OK" and created.node.uid == 5 and created.node.mode == 0o644, created)
    check("place in the log", created.epoch > 0 and created.log_index > 0, created)
    exists = ask(create=new("Create", parent=root, name=b"hello", kind=1))
    check("exists", name_of(exists.status) == "STATUS_EXISTS", exists)

    granted = ask(grant_blocks=new("GrantBlocks", count=1))
    content = bytes(range(256)) * 300
    block = new("BlockName", owner=drive, id=granted.number)
    head = new("WriteHead", key=key, block=block, length=len(content))
    parts = [content[:50_000], content[50_000:]]
    chunks = [new("WriteChunk", data=part, crc32c=crc32c(part)) for part in parts]
    chunks[0].head.CopyFrom(head)
    written = method("Block", "Write")(iter(chunks), timeout=patience)
    check("block", name_of(written.status) == "STATUS_OK", written)
    run = new("FileRun", length=len(content), kind=2, block=granted.number)
    tail = new("FileRun", file_offset=len(content), length=4, kind=1)
    commit = new("FileCommit", node=new("NodeReference", id=created.node.id), runs=[run, tail], inline=b"tail",
                 min_size=len(content) + 4, modify_time=1_700_000_000_000_000_000)
    committed = ask(commit=new("Commit", commits=[commit]))
    check("commit", name_of(committed.status) == "STATUS_OK" and committed.nodes.nodes[0].size == len(content) + 4, committed)
    check("sync", name_of(ask(sync=new("Sync")).status) == "STATUS_OK")

    found = ask(lookup=new("Lookup", parent=1, name=b"hello"))
    check("time", found.node.modify_time == 1_700_000_000_000_000_000, found)
    cluster = ask(get_cluster=new("GetCluster", id=found.node.id)).cluster
    read = bytearray(found.node.size)
    for run in cluster.runs:
        if run.kind == 1:
            data = cluster.inline[run.source_offset:run.source_offset + run.length]
        else:
            name = new("BlockName", owner=cluster.owners[run.owner], id=run.block)
            request = new("ReadRequest", key=key, block=name, offset=run.source_offset, length=run.length)
            data = b""
            for chunk in method("Block", "Read")(request, timeout=patience):
                check("chunk", name_of(chunk.status) == "STATUS_OK" and chunk.crc32c == crc32c(chunk.data), chunk.status)
                data += chunk.data
        read[run.offset:run.offset + run.length] = data
    check("content", bytes(read) == content + b"tail")
    soon = new("PrefetchRequest", key=key, block=block, length=1000)
    check("prefetch", method("Block", "Prefetch")(soon, timeout=patience) == new("PrefetchReply"))
    read_from_copy(key, block, content[100:10_100])
    check("renew", name_of(method("Drive", "Renew")(key, timeout=patience).status) == "STATUS_OK")
    check("close", name_of(method("Drive", "Close")(key, timeout=patience).status) == "STATUS_OK")


def streamed_session():
    """The same drive over a stream: two requests at once, a transaction, a polite end."""
    sent = []

    def messages():
        yield new("ClientMessage", open=new("OpenSession", drive="foreign"))
        while True:
            while not sent:
                arrived.acquire()
            message = sent.pop(0)
            if message is None:
                return
            yield message

    arrived = threading.Semaphore(0)

    def send(message):
        sent.append(message)
        arrived.release()

    stream = method("Drive", "Session")(messages(), timeout=patience)
    key = next(stream).opened.key
    for number, name in enumerate((b"hello", b"none")):
        lookup = new("Lookup", parent=1, name=name)
        send(new("ClientMessage", request=new("Request", session=key.session, id=number, lookup=lookup)))
    answers = sorted((next(stream).answer for _ in range(2)), key=lambda answer: answer.id)
    check("two answers", [name_of(answer.status) for answer in answers] == ["STATUS_OK", "STATUS_NOT_FOUND"], answers)

    made = new("TransactOperation", create=new("Create", parent=new("NodeReference", id=1), name=b"d", kind=2, mode=0o755))
    inner = new("TransactOperation", create=new("Create", parent=new("NodeReference", result_of=0), name=b"f", kind=1))
    free = new("Precondition", name_is_free=new("NameIsFree", parent=1, name=b"d"))
    transact = new("Transact", preconditions=[free], operations=[made, inner])
    for number in (10, 11):
        request = new("Request", session=key.session, id=number, slot=number, sequence=1, transact=transact)
        send(new("ClientMessage", request=request))
        answer = next(stream).answer
        expected = ("STATUS_OK", -1, 2) if number == 10 else ("STATUS_CONFLICT", 0, 0)
        done = answer.transacted
        check("transact", (name_of(answer.status), done.failed_at, len(done.nodes)) == expected, answer)
    page = new("ReadDirectory", directory=1, max_entries=100, with_nodes=True)
    send(new("ClientMessage", request=new("Request", session=key.session, id=12, read_directory=page)))
    entries = next(stream).answer.page
    check("names", sorted(entry.name for entry in entries.entries) == [b"d", b"hello"] and entries.is_last, entries)
    send(new("ClientMessage", renew=new("RenewLease")))
    check("renewed", next(stream).WhichOneof("body") == "renewed")
    send(new("ClientMessage", close=new("CloseSession")))
    check("closed", next(stream).WhichOneof("body") == "closed")
    check("end", next(stream, None) is None)
    send(None)


def call_admin(name, request, /, **fields):
    return method("Admin", name)(new(request, **fields), timeout=patience)


def names_in(drive):
    """The names in the root of a drive."""
    key = method("Drive", "Open")(new("OpenSession", drive=drive), timeout=patience).key
    page = new("ReadDirectory", directory=1, max_entries=100)
    request = new("Request", session=key.session, id=1, read_directory=page)
    entries = method("Drive", "Call")(new("CallRequest", key=key, request=request), timeout=patience).page.entries
    method("Drive", "Close")(key, timeout=patience)
    return sorted(entry.name for entry in entries)


def remove(drive, name):
    key = method("Drive", "Open")(new("OpenSession", drive=drive), timeout=patience).key
    request = new("Request", session=key.session, id=1, slot=1, sequence=1, unlink=new("Unlink", parent=new("NodeReference", id=1), name=name))
    answer = method("Drive", "Call")(new("CallRequest", key=key, request=request), timeout=patience)
    check("unlink", name_of(answer.status) == "STATUS_OK", answer)
    method("Drive", "Close")(key, timeout=patience)


def versions():
    """Quotas, snapshots, clones, and the way back."""
    resized = call_admin("ResizeDrive", "ResizeDriveRequest", name="foreign", quota_bytes=1 << 30, quota_inodes=1000)
    check("resize", name_of(resized.status) == "STATUS_OK" and resized.drive.quota_bytes == 1 << 30, resized)
    shown = call_admin("GetDrive", "GetDriveRequest", name="foreign")
    check("get", shown.drive.quota_inodes == 1000 and shown.drive.used_bytes > 70_000, shown)
    none = call_admin("GetDrive", "GetDriveRequest", name="none")
    check("get none", name_of(none.status) == "STATUS_NOT_FOUND", none)
    for expected in ("STATUS_OK", "STATUS_EXISTS"):
        taken = call_admin("CreateSnapshot", "CreateSnapshotRequest", drive="foreign", snapshot="first")
        check("snapshot", name_of(taken.status) == expected, taken)
    listed = call_admin("ListSnapshots", "ListSnapshotsRequest", drive="foreign")
    check("snapshots", [snapshot.name for snapshot in listed.snapshots] == ["first"], listed)
    remove("foreign", b"hello")
    check("removed", names_in("foreign") == [b"d"])
    cloned = call_admin("Clone", "CloneRequest", drive="foreign", snapshot="first", clone="foreign-clone")
    check("clone", name_of(cloned.status) == "STATUS_OK" and cloned.drive.origin_name == "foreign", cloned)
    check("names of the clone", names_in("foreign-clone") == [b"d", b"hello"])
    restored = call_admin("Restore", "RestoreRequest", drive="foreign", snapshot="first", path="/hello")
    check("restore", name_of(restored.status) == "STATUS_OK", restored)
    check("restored", names_in("foreign") == [b"d", b"hello"])
    gone = call_admin("DeleteDrive", "DeleteDriveRequest", name="foreign-clone")
    check("delete the clone", name_of(gone.status) == "STATUS_OK", gone)
    dropped = call_admin("DeleteSnapshot", "DeleteSnapshotRequest", drive="foreign", snapshot="first")
    check("delete the snapshot", name_of(dropped.status) == "STATUS_OK", dropped)
    left = call_admin("ListSnapshots", "ListSnapshotsRequest", drive="foreign")
    check("no snapshots", name_of(left.status) == "STATUS_OK" and not left.snapshots, left)


def look_at_pool():
    """What a pool of one node, called n1, says of itself."""
    def ask(name, request, /, **fields):
        return method("Pool", name)(new(request, **fields), timeout=patience)

    whole = ask("GetMap", "GetMapRequest")
    number = whole.nodes[0].id
    check("map", [node.name for node in whole.nodes] == ["n1"] and len(whole.pool) == 16, whole)
    check("shards", whole.shards and all(list(shard.in_sync) == [number] for shard in whole.shards), whole)
    activity = ask("GetActivity", "GetActivityRequest")
    check("activity", activity.node == number and activity.ok and activity.blocks_written > 0, activity)
    check("its drives", [drive.name for drive in activity.drives] == ["foreign"], activity)
    copy = ask("GetCopy", "GetCopyRequest", shard=0)
    check("copy", copy.node == number and copy.last.epoch > 0 and not copy.heard, copy)
    refused = ask("HandOver", "HandOverRequest", shard=0, node=number + 1)
    check("hand over to nobody", name_of(refused.status) == "STATUS_INVALID", refused)
    health = ask("GetHealth", "GetHealthRequest")
    check("health", health.unrepairable_blocks == health.quarantined_blocks == 0, health)
    known = ask("GetKnownMap", "GetKnownMapRequest")
    check("known map", known.node == number and known.map and not known.refusal, known)
    copies = ask("GetCopies", "GetCopiesRequest")
    check("copies", len(copies.copies) == len(whole.shards) and not copies.HasField("healing"), copies)
    check("drives of copies", [drive.name for held in copies.copies for drive in held.drives] == ["foreign"], copies)


def check_that_all_is_called():
    """Every method of the services for clients; those between nodes are none of theirs."""
    for name in ("Admin", "Drive", "Block") + (("Pool",) if has_pool else ()):
        for described in pool.FindServiceByName("kvfs.v1." + name).methods:
            check("is called", f"{name}/{described.name}" in called, f"{name}/{described.name}")


grpc.channel_ready_future(channel).result(timeout=patience)
unary_session(administer())
streamed_session()
versions()
if has_pool:
    look_at_pool()
deleted = method("Admin", "DeleteDrive")(new("DeleteDriveRequest", name="foreign"), timeout=patience)
check("delete", name_of(deleted.status) == "STATUS_OK", deleted)
check_that_all_is_called()
print("done", flush=True)
