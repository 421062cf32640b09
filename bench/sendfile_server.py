"""Answer every request with one file, by sendfile and nothing else: what a history is compared to.

python bench/sendfile_server.py PORT FILE
"""

import os
import socket
import sys
import threading


def answer(conn: socket.socket, path: str) -> None:
    """Send the file to one connection."""
    with conn, open(path, "rb") as file:
        conn.recv(65536)
        size = os.fstat(file.fileno()).st_size
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        while sent < size:
            sent += os.sendfile(conn.fileno(), file.fileno(), sent, size - sent)


def main() -> None:
    """Answer for ever."""
    port, path = sys.argv[1:]
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=answer, args=(conn, path), daemon=True).start()


if __name__ == "__main__":
    main()
