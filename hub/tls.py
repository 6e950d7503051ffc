"""Why https failed, as OpenSSL says it, and which of the reasons a person has to mend. Any other is a line that broke."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` with what is wrong, in which `{host}` stands for the system's, and what to do."""

    code: str
    what: str
    fix: str


_OTHER_NAME = Reason(
    "C107", "the certificate of {host} is made out to another name", "correct the host in the connection's url"
)
_NO_HTTPS = Reason(
    "C113",
    "{host} answers, but does not speak https there",
    "is it the right port? correct the connection's url, which begins with http:// where a system has no https",
)
# The first that stands in what OpenSSL says holds: a certificate that has expired failed its verification, too.
REASONS = {
    "certificate has expired": Reason(
        "C107",
        "the certificate of {host} has expired",
        "whoever runs the system has to renew it; is the clock of this machine right?",
    ),
    "Hostname mismatch": _OTHER_NAME,
    "IP address mismatch": _OTHER_NAME,
    "CERTIFICATE_VERIFY_FAILED": Reason(
        "C107",
        "the certificate of {host} is not trusted",
        "name your company's certificate bundle in the connection's extra.ca_file",
    ),
    "WRONG_VERSION_NUMBER": _NO_HTTPS,
    "RECORD_LAYER_FAILURE": _NO_HTTPS,
}


def reason(said: str) -> Reason | None:
    """The reason in OpenSSL's words that a person has to mend; None where the same call may succeed later."""
    return next((found for sign, found in REASONS.items() if sign in said), None)
