"""Servers that are not IMIconnect: on real sockets of this machine, each for one call."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@contextmanager
def raw_server(answer, wrap=lambda connection: connection, drip=None):
    """Answer each connection with given bytes, or with silence, or go on with ``drip`` without an end; yield where."""
    ended = threading.Event()
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=_serve, args=(listener, answer, wrap, drip, ended))
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(5)


def _serve(listener, answer, wrap, drip, ended):
    while not ended.is_set():
        with suppress(OSError):  # nobody yet, or somebody who does not trust the certificate
            connection, _ = listener.accept()
            with connection, wrap(connection) as channel:
                if answer or drip:
                    channel.recv(65536)
                    channel.sendall(answer)
                    while drip and not ended.wait(0.05):
                        channel.sendall(drip)
                else:
                    ended.wait()


@contextmanager
def self_signed_server(folder, name=LOOPBACK):
    """Speak TLS with a certificate that nobody else has signed; yield where."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder, name))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with raw_server(answer, lambda connection: context.wrap_socket(connection, server_side=True)) as url:
        yield url.replace("http://", "https://")


def certificate(folder, name):
    """Write a certificate for a name, and its key, into one file; return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
    )
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}.pem"
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(signed + key.private_bytes(*private))
    return path


def _alternative(name):
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


@contextmanager
def nobody_listens():
    """Keep a port that refuses connections; yield where."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        yield f"http://{LOOPBACK}:{taken.getsockname()[1]}"


@contextmanager
def nobody_accepts():
    """Keep a port whose queue is full, so that a connection is neither made nor refused; yield where."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind((LOOPBACK, 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://{LOOPBACK}:{full.getsockname()[1]}"
