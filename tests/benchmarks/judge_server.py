"""A real chat server on loopback that says what a test tells it to, and remembers what it was asked."""

import json
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Chat:
    """Answers by `script`, a list of steps taken one a request, then by `say`.

    A step is a status, a (status, headers) pair, a text that is sent as it is with status 200, a number of seconds
    to be silent (a float), or "drop": the connection is closed without a word.
    """

    def __init__(self, say, script=(), usage=True):
        self.say, self.script, self.usage = say, list(script), usage
        self.asked, self.bodies, self.headers, self.at_once, self.most_at_once = [], [], [], 0, 0
        self.lock, self.closing = threading.Lock(), threading.Event()

    def handle(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        with self.lock:
            self.asked.append(prompt)
            self.bodies.append(body)
            self.headers.append(dict(handler.headers))
            step = self.script.pop(0) if self.script else None
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.answer(handler, prompt, step)
        finally:
            with self.lock:
                self.at_once -= 1

    def answer(self, handler, prompt, step):
        if step == "drop":
            handler.close_connection = True
            return
        if isinstance(step, float):
            self.closing.wait(step)
            step = None
        status, extra = step if isinstance(step, tuple) else (step, {})
        if isinstance(status, str):
            self.send(handler, 200, status, extra)
        elif status is not None:
            # as servers do that quote a wrong key
            sent = handler.headers.get("Authorization", "none")
            self.send(
                handler,
                status,
                json.dumps({"error": {"message": f"no, not\nwith {sent} {handler.path}"}}),
                extra,
            )
        else:
            told = {"choices": [{"message": {"role": "assistant", "content": self.say(prompt)}}]}
            if self.usage:
                told["usage"] = {"prompt_tokens": len(prompt.split()), "completion_tokens": 2}
            self.send(handler, 200, json.dumps(told), extra)

    def send(self, handler, status, text, extra):
        data = text.encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **extra}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them: none outlives its test

    def __init__(self, *args):
        super().__init__(*args)
        self.connections = []

    def process_request(self, request, client_address):
        self.connections.append(request)
        super().process_request(request, client_address)

    def server_close(self):
        for connection in self.connections:
            # what is under way is answered; nobody is waited for who keeps a connection and asks nothing more
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request, client_address):
        # a client that gave up while it waited is no news; told, it would stand in the stderr of whichever test
        # runs by then
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(chat):
    """Serve a Chat; yields its base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            chat.handle(self)

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        chat.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
