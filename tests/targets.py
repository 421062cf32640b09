"""Servers that webhooks are told to: they answer as they are bidden and remember what came."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Post(NamedTuple):
    """One request; names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Target(ThreadingHTTPServer):
    """A target on a loopback port; `answers` are the statuses of its next answers, then 200.

    While `gate` is not set, it has read the request and says nothing.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.posts: list[Post] = []
        self.answers: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Where to post."""
        return f"http://{host}:{self.server_port}{path}"

    def close(self) -> None:
        """Listen no more; who waits for an answer is let go."""
        self.gate.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.posts.append(Post(self.path, headers, body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.gate.wait(30)
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url("/elsewhere"))
        # a body that never comes: nobody has to wait for it
        self.send_header("Content-Length", "1000000")
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Nothing."""
