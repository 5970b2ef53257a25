#!/usr/bin/env python3
"""small-files.py FOLDER: operations a second on 3,000 files of 4 KiB in one new folder, one after the other.

Prints "metric value" lines. Needs root: the page cache is emptied before the cold reads.
"""
import os
import sys
import time

FILES = 3000
CONTENT = b"x" * 4096


def rate(operation, folder):
    """How often a second an operation on the number of a file succeeds."""
    begin = time.perf_counter()
    for number in range(FILES):
        operation(folder, number)
    return FILES / (time.perf_counter() - begin)


def create(folder, number):
    with open(f"{folder}/f{number}", "wb") as file:
        file.write(CONTENT)


def stat(folder, number):
    os.stat(f"{folder}/f{number}")


def read(folder, number):
    with open(f"{folder}/f{number}", "rb") as file:
        if file.read() != CONTENT:
            sys.exit(f"{folder}/f{number}: not what was written")


def rename(folder, number):
    os.rename(f"{folder}/f{number}", f"{folder}/g{number}")


def unlink(folder, number):
    os.unlink(f"{folder}/g{number}")


def forget():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
        caches.write("3\n")


def main():
    folder = sys.argv[1]
    os.mkdir(folder)
    steps = [
        ("create4k_per_s", create),
        ("stat_per_s", stat),
        ("read4k_cold_per_s", read),
        ("rename_per_s", rename),
        ("unlink_per_s", unlink),
    ]
    for metric, operation in steps:
        if operation is read:
            forget()
        print(metric, round(rate(operation, folder)), flush=True)


if __name__ == "__main__":
    main()
