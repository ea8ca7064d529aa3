"""A certificate authority for the tests, and a server certificate signed by it: the basis of HTTPS in the tests."""

from pathlib import Path

import trustme


class Authority:
    """Three files: the root for clients to trust, and the certificate and key of a server on this machine."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root.pem"
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(str(self.root))
        server.private_key_pem.write_to_path(str(self.key))
        for part in server.cert_chain_pems:
            part.write_to_path(str(self.certificate), append=True)
