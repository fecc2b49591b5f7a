"""What a client would like: the header `Prefer` (RFC 7240). Nothing in it is ever an error."""

import re
from collections.abc import Iterable

_PREFERENCE = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*+(?:"|\\?\Z))++', re.DOTALL)
"""A quotation that does not end takes all the rest: whatever comes, no character is looked at twice."""
_WAIT = re.compile(r'\s*wait\s*=\s*(?:([0-9]{1,9})|"([0-9]{1,9})")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"\s*wait\s*(?:[=;].*)?", re.IGNORECASE | re.DOTALL)


def wait(headers: Iterable[str]) -> int:
    """Seconds that the client would wait for the result; 0 if it does not say so, or not in the way one says it.

    Of a preference that is stated more than once the first counts.
    """
    for header in headers:
        for preference in _PREFERENCE.findall(header):
            if _NAMED.fullmatch(preference):
                found = _WAIT.fullmatch(preference)
                return int(found[1] or found[2]) if found else 0
    return 0
