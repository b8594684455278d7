"""The other side of every channel, made of what others wrote: python channel_sink.py ADDRESS [HTTP_PORT SMTP_PORT].

Decrypts Web Push by http-ece and checks its VAPID token by PyJWT, verifies webhooks by standardwebhooks, takes mails by
aiosmtpd, and records what is published to it as to an ntfy server. Prints one line of JSON with its ports and keys, and
answers GET /received with everything that it took. What it cannot verify it refuses with 400, and shows it there too.

The last part of a path, of a topic and the user of an address say how to answer: `gone…` always 410, `busy…` the first
time 503 (451), `unknown…` always 404 (550), `elsewhere…` a redirect.
"""

import base64
import email
import email.policy
import json
import os
import secrets
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import http_ece
import jwt
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = os.urandom(16)
SIGNING = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
RECEIVED: list[dict] = []
BUSY: set[str] = set()
LOCK = threading.Lock()


def record(entry: dict) -> None:
    with LOCK:
        RECEIVED.append(entry)


def first_time(name: str) -> bool:
    with LOCK:
        new = name not in BUSY
        BUSY.add(name)
        return new


def push(headers, body: bytes) -> dict:
    scheme, _, parameters = headers["authorization"].partition(" ")
    assert scheme == "vapid", scheme
    parameters = dict(part.strip().split("=", 1) for part in parameters.split(","))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(parameters["k"]))
    origin = "http://" + headers["host"]
    claims = jwt.decode(parameters["t"], key, algorithms=["ES256"], audience=origin, options={"require": ["exp", "sub"]})
    assert headers["content-encoding"] == "aes128gcm", headers["content-encoding"]
    clear = http_ece.decrypt(body, private_key=BROWSER, auth_secret=AUTH, version="aes128gcm")
    return {
        "id": headers["topic"],
        "ttl": headers["ttl"],
        "subject": claims["sub"],
        "public_key": parameters["k"],
        "message": json.loads(clear),
    }


def hook(headers, body: bytes) -> dict:
    payload = Webhook(SIGNING).verify(body, {name.lower(): value for name, value in headers.items()})
    return {"id": headers["webhook-id"], "type": payload["type"], "message": payload["data"]}


def ntfy(headers, body: bytes) -> dict:
    payload = json.loads(body)
    assert set(payload) == {"topic", "title", "message"}, payload
    return {"token": headers["authorization"], "message": payload}


class Http(BaseHTTPRequestHandler):
    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        with LOCK:
            self.answer(200, json.dumps(RECEIVED).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "":
            kind, name = "ntfy", json.loads(body)["topic"]
        if name.startswith("gone"):
            return self.answer(410)
        if name.startswith("unknown"):
            return self.answer(404)
        if name.startswith("elsewhere"):
            return self.answer(307, location="/hook/redirected")
        if name.startswith("busy") and first_time(f"{kind}/{name}"):
            return self.answer(503)
        try:
            taken = {"push": push, "hook": hook, "ntfy": ntfy}[kind](self.headers, body)
        except Exception as error:
            record({"kind": kind, "name": name, "refused": repr(error)})
            return self.answer(400)
        record({"kind": kind, "name": name, **taken})
        return self.answer(201)

    def log_message(self, *_) -> None:
        pass


class Smtp:
    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("unknown"):
            return "550 no such user"
        if address.startswith("busy") and first_time(address):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        record(
            {
                "kind": "email",
                "name": envelope.rcpt_tos[0],
                "id": mail["message-id"],
                "from": mail["from"],
                "message": {"title": mail["subject"], "message": mail.get_content().replace("\r\n", "\n").strip()},
            }
        )
        return "250 OK"


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def main(address: str, http_port: int = 0, smtp_port: int = 0) -> None:
    http = ThreadingHTTPServer((address, http_port), Http)
    # The controller connects to the port that it is given, so that must not be 0.
    smtp = Controller(Smtp(), hostname=address, port=smtp_port or free_port(address))
    smtp.start()
    point = BROWSER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    about = {
        "http": http.server_address[1],
        "smtp": smtp.port,
        "p256dh": encode(point),
        "auth": encode(AUTH),
        "secret": SIGNING,
    }
    print(json.dumps(about), flush=True)
    http.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
