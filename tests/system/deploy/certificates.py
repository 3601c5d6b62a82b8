"""A certificate for AWS's names, from an authority that only programs of the test trust."""

from __future__ import annotations

import subprocess
from pathlib import Path

REGION = "us-east-1"
#: Where Amazon Linux has its bundle, which Lambda functions name.
AMAZON_LINUX = Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
_NAMES = (
    "*.amazonaws.com",
    f"*.{REGION}.amazonaws.com",
    "*.s3.amazonaws.com",
    "*.cloudfront.net",
    *(f"*.{service}.{REGION}.amazonaws.com" for service in ("s3", "execute-api", "dkr.ecr", "ecr")),
)


def make(folder: Path) -> None:
    """Write the authority, the server's certificate and a bundle; install the bundle in /etc."""
    if not (folder / "server.pem").exists():
        _openssl(
            folder,
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=conducto-test-deploy "
            "-keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE "
            "-addext keyUsage=critical,keyCertSign",
        )
        _openssl(
            folder, "req -newkey rsa:2048 -nodes -subj /CN=aws -keyout server.key -out aws.csr"
        )
        names = ",".join(f"DNS:{name}" for name in _NAMES)
        (folder / "names.cnf").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        _openssl(
            folder,
            "x509 -req -in aws.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 "
            "-extfile names.cnf -out server.pem",
        )
    bundle = folder / "bundle.pem"
    bundle.write_text(SYSTEM.read_text() + (folder / "ca.pem").read_text())
    AMAZON_LINUX.parent.mkdir(parents=True, exist_ok=True)
    AMAZON_LINUX.write_bytes(bundle.read_bytes())


def _openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


def trust(folder: Path) -> dict[str, str]:
    """Return variables that make programs of all kinds trust the authority."""
    bundle = str(folder / "bundle.pem")
    names = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
    return {**dict.fromkeys(names, bundle), "NODE_EXTRA_CA_CERTS": str(folder / "ca.pem")}
