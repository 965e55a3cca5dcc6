"""Patterns that the languages share: addresses and cards are written alike wherever a page is from."""

BEFORE = r"(^|[^0-9A-Za-z_./=#%@&-])"  # a number does not go on before it, nor is it part of an address
AT = r"\s?(?:[@＠]|[(（\[]at[)）\]])\s?"
POSTED = r"($|[^:A-Za-z0-9_-]|:\s|:$)"  # git@host:path is no mail
IN_FOURS = "(?:62|4[0-9]|5[1-5])[0-9]{2}(?:[ -][0-9]{4}){3}(?: [0-9]{3})?"
WRITTEN = r"(^|[^/A-Za-z0-9_.+-])[A-Za-z0-9][A-Za-z0-9_.+-]*"
MAIL = rf"{WRITTEN}{AT}(?:[A-Za-z0-9-]+\.)+[A-Za-z]{{2,}}{POSTED}"
PLAIN_MAIL = r"[A-Za-z0-9_.+-]+@[\w-]+\.[A-Za-z]+"


def either(*patterns: str) -> str:
    """A pattern that any of these makes true, whatever their capitals."""
    return f"(?i:{'|'.join(patterns)})"
