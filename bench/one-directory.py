#!/usr/bin/env python3
"""one-directory.py FOLDER COUNT PID: creates COUNT empty files in one directory, and shows how the time of an operation and
the memory of the serving process change as it grows.

Prints a table with one row for each tenth: microseconds for a create, for a stat of a random name that the kernel has
forgotten, and for an entry of a full listing, and the process's memory. Ends with the removal of all.
"""
import os
import random
import sys
import time

TENTHS = 10
STATS = 2000  # Samples of a row: enough for a mean, few beside the creates.


def microseconds(operation, count):
    begin = time.perf_counter()
    operation()
    return (time.perf_counter() - begin) * 1e6 / count


def memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


def create(folder, first, last):
    for number in range(first, last):
        os.close(os.open(f"{folder}/file-{number:09}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def stat(folder, count, generator):
    for _ in range(STATS):
        os.stat(f"{folder}/file-{generator.randrange(count):09}")


def forget_names():
    """Has the kernel ask again: what it keeps itself says nothing of the file system. As root."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
        drop.write("2\n")


def listing(folder, count):
    with os.scandir(folder) as entries:
        seen = sum(1 for _ in entries)
    if seen != count:
        sys.exit(f"{folder}: {seen} entries listed, {count} created")


def main():
    folder, total, pid = f"{sys.argv[1]}/directory", int(sys.argv[2]), sys.argv[3]
    generator = random.Random(1)
    os.mkdir(folder)
    print("| files | create, µs | stat, µs | list, µs an entry | memory, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    done = 0
    for tenth in range(1, TENTHS + 1):
        upto = total * tenth // TENTHS
        creating = microseconds(lambda: create(folder, done, upto), max(upto - done, 1))
        done = upto
        forget_names()
        statting = microseconds(lambda: stat(folder, done, generator), STATS)
        scanning = microseconds(lambda: listing(folder, done), max(done, 1))
        print(f"| {done} | {creating:.1f} | {statting:.1f} | {scanning:.2f} | {memory_mib(pid)} |", flush=True)
    removing = microseconds(lambda: [os.unlink(f"{folder}/file-{number:09}") for number in range(done)], max(done, 1))
    print(f"\nunlink: {removing:.1f} µs each; memory afterwards: {memory_mib(pid)} MiB")


if __name__ == "__main__":
    main()
