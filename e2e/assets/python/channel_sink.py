"""The other side of every channel, made of what others wrote: python channel_sink.py ADDRESS [HTTP_PORT SMTP_PORT].

Decrypts Web Push by http-ece and checks its VAPID token by PyJWT, verifies webhooks by standardwebhooks, takes mails by
aiosmtpd, and records what is published to it as to an ntfy server. Prints one line of JSON with its ports and keys, and
answers GET /received with everything that it took. What it cannot verify it refuses with 400, and shows it there too.

It takes the same over TLS, by a certificate of an authority of its own, which it shows as `ca`: `https` is a port for
HTTP, `smtps` and `starttls` are for mails of the user that it names, by the one or the other way to encrypt.

The last part of a path, of a topic and the user of an address say how to answer: `gone…` always 410, `busy…` the first
time 503 (451), `unknown…` always 404 (550), `elsewhere…` a redirect.
"""

import base64
import datetime
import email
import email.policy
import ipaddress
import json
import logging
import os
import secrets
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import http_ece
import jwt
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from standardwebhooks import Webhook


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = os.urandom(16)
SIGNING = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
LOGIN = ("todo", secrets.token_urlsafe())
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


def push(scheme: str, headers, body: bytes) -> dict:
    kind, _, parameters = headers["authorization"].partition(" ")
    assert kind == "vapid", kind
    parameters = dict(part.strip().split("=", 1) for part in parameters.split(","))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(parameters["k"]))
    origin = f"{scheme}://{headers['host']}"
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


def hook(_scheme: str, headers, body: bytes) -> dict:
    payload = Webhook(SIGNING).verify(body, {name.lower(): value for name, value in headers.items()})
    return {"id": headers["webhook-id"], "type": payload["type"], "message": payload["data"]}


def ntfy(_scheme: str, headers, body: bytes) -> dict:
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
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Who sent it is gone, and was told nothing.
            return
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
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        try:
            taken = {"push": push, "hook": hook, "ntfy": ntfy}[kind](scheme, self.headers, body)
        except Exception as error:
            record({"kind": kind, "name": name, "refused": repr(error)})
            return self.answer(400)
        record({"kind": kind, "name": name, "scheme": scheme, **taken})
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

    async def handle_DATA(self, _server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        record(
            {
                "kind": "email",
                "name": envelope.rcpt_tos[0],
                "id": mail["message-id"],
                "from": mail["from"],
                "user": session.auth_data and session.auth_data.login.decode(),
                "message": {"title": mail["subject"], "message": mail.get_content().replace("\r\n", "\n").strip()},
            }
        )
        return "250 OK"


def log_in(_server, _session, _envelope, _mechanism, given) -> AuthResult:
    right = (given.login, given.password) == tuple(text.encode() for text in LOGIN)
    # The server answers a wrong one by itself.
    return AuthResult(success=right, handled=False, auth_data=given)


def certificate(name: str, key, issuer: str, signer, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """A certificate in PEM, for some days."""
    named = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=7))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)


def encryption(address: str) -> tuple[ssl.SSLContext, str]:
    """What a server at this address encrypts with, and the authority that vouches for it."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, own_address = "authority of the sink", x509.IPAddress(ipaddress.ip_address(address))
    ca = certificate(issuer, authority, issuer, authority, (x509.BasicConstraints(True, None), True))
    chain = certificate("sink", key, issuer, authority, (x509.SubjectAlternativeName([own_address]), False))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # It is read from a file only.
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    return context, ca.decode()


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def main(address: str, http_port: int = 0, smtp_port: int = 0) -> None:
    http = ThreadingHTTPServer((address, http_port), Http)
    # The controller connects to the port that it is given, so that must not be 0.
    smtp = Controller(Smtp(), hostname=address, port=smtp_port or free_port(address))
    smtp.start()
    context, ca = encryption(address)
    https = ThreadingHTTPServer((address, 0), Http)
    https.socket = context.wrap_socket(https.socket, server_side=True)
    threading.Thread(target=https.serve_forever, daemon=True).start()
    login = {"authenticator": log_in, "auth_required": True}
    # aiosmtpd takes only STARTTLS for encrypted, and warns of the other way with each connection.
    warnings.filterwarnings("ignore", "Requiring AUTH")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    smtps = Controller(
        Smtp(), hostname=address, port=free_port(address), ssl_context=context, auth_require_tls=False, **login
    )
    starttls = Controller(
        Smtp(), hostname=address, port=free_port(address), tls_context=context, require_starttls=True, **login
    )
    for controller in (smtps, starttls):
        controller.start()
    point = BROWSER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    about = {
        "http": http.server_address[1],
        "smtp": smtp.port,
        "https": https.server_address[1],
        "smtps": smtps.port,
        "starttls": starttls.port,
        "ca": ca,
        "user": LOGIN[0],
        "password": LOGIN[1],
        "p256dh": encode(point),
        "auth": encode(AUTH),
        "secret": SIGNING,
    }
    print(json.dumps(about), flush=True)
    http.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
