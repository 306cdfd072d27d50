"""Looks like the primary of a cluster to its keeper, with workers that do nothing but have boards: a hundred real ones of four workers are
500 Nodes, which a machine may have no room for. Started in Node's place (`interpreter`)."""

import array
import json
import os
import socket
import struct
import time

import fcntl

WORKERS = 4
PAGE = 4096
# As src/board_layout.rs has them.
MAGIC = 0x7263_6C75_7374_0002
WAITS, TURNED, HTTP, BUCKETS = 32, 48, 64, 15
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2


def board():
    words = [0] * (PAGE // 8)
    words[0] = MAGIC
    words[2], words[3], words[5], words[10] = 1_000_000, 10**11, 200_000, 10**12
    for start in (WAITS, TURNED):
        words[start : start + 1 + BUCKETS] = [10**10, *range(1000, 1000 + BUCKETS)]
    doubles = {HTTP: 1.0, HTTP + 1: 200_000.0, HTTP + 2: 7.0, HTTP + 3: 123_456.7}
    doubles.update({HTTP + 4 + bucket: 1000.0 + bucket for bucket in range(BUCKETS)})
    for word, value in doubles.items():
        words[word] = struct.unpack("Q", struct.pack("d", value))[0]
    fd = os.memfd_create("board", os.MFD_ALLOW_SEALING)
    os.write(fd, struct.pack(f"{len(words)}Q", *words))
    fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
    return fd


keeper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
keeper.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
workers = []
for seat in range(WORKERS):
    pid = os.spawnv(os.P_NOWAIT, "/bin/sleep", ["sleep", "1000000"])
    fds = array.array("i", [board()])
    keeper.sendmsg([f"RCLUSTER_BOARD={seat} {pid}".encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    os.close(fds[0])
    workers.append({"seat": seat, "pid": pid, "state": "ready", "startedAt": int(time.time() * 1000), "restarts": 0})
os.write(int(os.environ["NODE_CHANNEL_FD"]), json.dumps({"rcluster": "workers", "workers": workers}).encode() + b"\n")
keeper.send(b"READY=1")
while True:
    time.sleep(1000)
