"""Whom the agent believes: the system's authorities, a given authority, or one pinned certificate."""

import hashlib
import hmac
import ssl


def make_context(ca_file: str = "", pin_sha256: str = "") -> ssl.SSLContext:
    """Return a client context; with a pin alone the certificate needs no authority. Raises OSError for a bad file."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if pin_sha256:
        context.sslobject_class = _pinned(pin_sha256.replace(":", "").lower())
        if not ca_file:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return context


def _pinned(pin: str) -> type[ssl.SSLObject]:
    class PinnedObject(ssl.SSLObject):
        """Ends the handshake with an error unless the peer shows the pinned certificate."""

        def do_handshake(self) -> None:
            super().do_handshake()
            shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if not hmac.compare_digest(shown, pin):
                raise ssl.SSLCertVerificationError(f"the certificate's SHA-256 is {shown}, which is not the pinned one")

    return PinnedObject
