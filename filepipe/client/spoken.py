"""Keys that one person can say to another."""

from __future__ import annotations

import secrets
from typing import Final

# Each of the 2048 words has 11 bits. 44 are more than anybody tries against a server during the
# minutes for which such a key lives.
WORDS: Final = 4


def spoken_key() -> str:
    """Mint a key of four English words (BIP-39), such as "legal-winner-thank-year"."""
    from mnemonic import Mnemonic  # noqa: PLC0415 - its list is read only where a key is minted

    words = Mnemonic("english").wordlist
    return "-".join(secrets.choice(words) for _ in range(WORDS))
