"""certs.py: a certificate authority for a test, made with the program openssl: small keys, so it takes milliseconds.

    ca = Authority(folder)
    server = ca.issue("server", dns=["localhost"])            # .cert and .key are paths of PEM files
    old = ca.issue("old", begins=-20, ends=-10)                # days from now
    context = ca.client(ca.issue("svc", cn="billing"))         # for Python's ssl; without an argument: no certificate

As a program it makes what tests/lib/certs.h names, in a folder.
"""
import os
import ssl
import subprocess
import sys
import time
from collections import namedtuple

Issued = namedtuple("Issued", "cert key")

CONFIG = """
[ca]
default_ca = this
[this]
dir = {folder}
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = optional
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
{san}
"""


def openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"openssl {' '.join(words)}:\n{done.stderr}"
    return done.stdout


def stamp(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        open(os.path.join(self.folder, "index"), "w", encoding="ascii").close()
        self.cert, self.key = self.path("ca.crt"), self.path("ca.key")
        openssl("req", "-x509", *self.new_key(self.key), "-out", self.cert, "-days", "3650", "-subj", f"/CN={name}",
                "-config", self.config([]), "-extensions", "authority")

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_key(self, path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path

    def config(self, dns):
        san = "subjectAltName = " + ", ".join(f"DNS:{name}" for name in dns) if dns else ""
        with open(self.path("config"), "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=self.folder, san=san))
        return self.path("config")

    def issue(self, name, cn=None, dns=(), begins=-1, ends=365):
        cert, key, request = self.path(name + ".crt"), self.path(name + ".key"), self.path(name + ".csr")
        config = self.config(dns)
        subject = "/" if cn == "" else f"/CN={name if cn is None else cn}"
        openssl("req", "-new", *self.new_key(key), "-out", request, "-subj", subject, "-config", config)
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.cert, "-keyfile", self.key, "-in", request,
                "-out", cert, "-startdate", stamp(begins), "-enddate", stamp(ends), "-extensions", "leaf")
        return Issued(cert, key)

    def client(self, own=None, least=None, most=None):
        """A context of Python's ssl that trusts this authority."""
        context = ssl.create_default_context(cafile=self.cert)
        if own:
            context.load_cert_chain(own.cert, own.key)
        if least:
            context.minimum_version = least
        if most:
            context.maximum_version = most
        return context


def main(folder):
    ca = Authority(folder)
    ca.issue("server", dns=["localhost"])
    ca.issue("client")
    Authority(folder, "strangers").issue("stranger", dns=["localhost"])


if __name__ == "__main__":
    main(sys.argv[1])
