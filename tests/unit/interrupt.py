#!/usr/bin/env python3
"""Ctrl-C while an order is out: interrupt.py BATON

A server takes the order and never answers. The command must end at once, say that the order may have been taken and where to
look, and exit with 130; a question that changes nothing just ends.
"""

import signal
import socket
import subprocess
import sys

PATIENCE_S = 60


def interrupted(baton, *words):
    """Runs a command, interrupts it when its request has arrived: (exit code, stderr)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        child = subprocess.Popen([baton, *words, "--server", f"http://127.0.0.1:{server.getsockname()[1]}"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            connection, _ = server.accept()
            connection.settimeout(PATIENCE_S)
            connection.recv(1)
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=PATIENCE_S)
            connection.close()
        finally:
            child.kill()
    return child.returncode, err


def main():
    wrong = []
    for words, code, said in ((("switch", "payments", "--to", "green"), 130, "the order may have been taken; look with: baton status payments\n"),
                              (("fleet", "delete", "payments", "--yes"), 130, "look with: baton status payments\n"),
                              (("status", "payments"), -signal.SIGINT, "")):
        got, err = interrupted(sys.argv[1], *words)
        if got != code or not err.endswith(said) or (not said and err):
            wrong.append(f"{' '.join(words)}: exit code {got}, it said {err!r}")
    print("\n".join(wrong) or "ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
