"""Keys to say aloud."""

import math

from mnemonic import Mnemonic

from filepipe.client.spoken import WORDS, spoken_key
from filepipe.keys import is_reserved, parse_key


def test_words_of_the_list() -> None:
    """All words are BIP-39's, and the key needs no escape anywhere."""
    words = Mnemonic("english").wordlist
    key = spoken_key()
    parts = key.split("-")
    assert len(parts) == WORDS
    assert set(parts) <= set(words)
    assert parse_key(f"/{key}") == key
    assert not is_reserved(parse_key(key))


def test_enough_bits() -> None:
    """At least 40, and no key comes twice."""
    assert math.log2(len(set(Mnemonic("english").wordlist)) ** WORDS) >= 40
    assert len({spoken_key() for _ in range(200)}) == 200
