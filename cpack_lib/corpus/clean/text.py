"""Text made regular (one width, nothing invisible, plain spaces), and what can be measured of it.

Everything is a Polars expression: a shard is treated as columns, never row by row in Python.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import polars as pl
from opencc import OpenCC

from cpack_lib.corpus.languages import language, written_share

LINE_ENDS = r"\r\n?|[\x{0B}\x{0C}\x{85}\x{2028}\x{2029}]"
INVISIBLE = r"[\p{Cc}\p{Cf}\p{Co}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}&&[^\n\t]]+"
KANA = r"[\p{Hiragana}\p{Katakana}]"
MARKS = {",": "，", "?": "？", "!": "！", ";": "；", ":": "："}  # after a Chinese character


def is_widened(character: str) -> bool:
    """Whether NFKC may change it: letters, digits and spaces of another width, and dictionaries' radicals.

    Not punctuation ('，' would become ','), superscripts (10² would become 102), ① or ㎡.
    """
    if unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo", "Nd", "Nl", "Zs"):
        return True
    return "⺀" <= character <= "⿟" or "ｦ" <= character <= "ﾟ"


def widths() -> dict[str, str]:
    """What becomes of every character that is not in its usual width."""
    characters = (chr(code) for code in range(0x30000) if not 0xD800 <= code <= 0xDFFF)
    other = (character for character in characters if not unicodedata.is_normalized("NFKC", character))
    plain = {
        character: unicodedata.normalize("NFKC", character) for character in other if is_widened(character)
    }
    return {old: new for old, new in plain.items() if unicodedata.normalize("NFC", old) != new}


def broken() -> str:
    """A pattern of what UTF-8 becomes when it is read as GBK or Latin-1, and of what no decoder could read.

    GBK takes UTF-8's bytes in twos: a lead and a second, or a third and the next lead. Only those with a byte
    from 0x80 to 0xA0 are counted, where GBK keeps rare characters; the bytes above spell everyday ones.
    """
    leads, rare = range(0xE3, 0xF0), range(0x80, 0xA1)
    twos = [bytes(two) for first, second in ((leads, rare), (rare, leads)) for two in product(first, second)]
    read = {two.decode("gbk", errors="ignore") for two in twos} - {""}
    return rf"[{''.join(sorted(read))}\x{{FFFD}}\x{{A0}}-\x{{FF}}]"


@cache
def to_simplified() -> OpenCC:
    """OpenCC's converter, made once in each process: it cannot be sent to another."""
    return OpenCC("t2s")


@cache
def simplified_characters() -> dict[str, str]:
    """What OpenCC makes of every traditional character, 5,119 of them; what it makes has no entry itself."""
    ranges = ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
    characters = [chr(code) for start, end in ranges for code in range(start, end)]
    plain = to_simplified().convert("\n".join(characters)).split("\n")
    table = {old: new for old, new in zip(characters, plain, strict=True) if old != new}
    return {old: table.get(new, new) for old, new in table.items()}


@cache
def traditional() -> str:
    """A pattern of the characters that are not simplified."""
    return f"[{''.join(simplified_characters())}]"


WIDTHS = widths()  # 'Ａ' -> 'A', '３' -> '3', the ideographic space -> ' ', '⼀' -> '一'
BROKEN = broken()


@dataclass(frozen=True)
class Repair:
    """A named change of a text, with the reason for it."""

    name: str
    reason: str
    mend: Callable[[pl.Expr], pl.Expr]


def where(text: pl.Expr, pattern: str, change: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    """The change made only on the rows that hold the pattern: one cheap test spares most of them."""

    def changed(texts: pl.Series) -> pl.Series:
        rows = texts.str.contains(pattern).arg_true()
        return texts.clone().scatter(rows, change(texts.gather(rows))) if len(rows) else texts

    return text.map_batches(changed, return_dtype=pl.String)


def visible(text: pl.Expr) -> pl.Expr:
    """Without characters that nobody sees; every line ends in a newline."""
    return text.str.replace_all(LINE_ENDS, "\n").str.replace_all(INVISIBLE, "")


def one_width(text: pl.Expr) -> pl.Expr:
    """With letters, digits and spaces in their usual width, accents on their letters."""
    return text.str.replace_many(list(WIDTHS), list(WIDTHS.values())).str.normalize("NFC")


def simplified(text: pl.Expr) -> pl.Expr:
    """In simplified characters, by OpenCC's phrases: 乾坤 stays, 乾净 changes. Not texts with kana."""
    return where(text, traditional(), phrases_simplified)


def phrases_simplified(texts: pl.Series) -> pl.Series:
    """Texts converted one by one, except Japanese ones: 時間 is how Japanese writes, too."""
    convert, kana = to_simplified().convert, texts.str.contains(KANA)
    plain = [text if other else convert(text) for text, other in zip(texts, kana, strict=True)]
    return pl.Series(texts.name, plain, dtype=pl.String)


def chinese_marks(text: pl.Expr) -> pl.Expr:
    """With Chinese marks behind Chinese characters."""
    for plain, wide in MARKS.items():
        text = text.str.replace_all(rf"([\p{{Han}}”》）])[{plain}]", "${1}" + wide)
    return text


def plain_spaces(text: pl.Expr) -> pl.Expr:
    """With single spaces, and at most one empty line."""
    lines = text.str.replace_all(r"[^\S\n]+", " ").str.replace_all(r" ?\n ?", "\n")
    return lines.str.replace_all(r"\n{3,}", "\n\n").str.strip_chars()


def masked(text: pl.Expr, code: str = "zh") -> pl.Expr:
    """With 〔电话〕, 〔邮箱〕, 〔证件号〕 or 〔账号〕, or a language's own words, for what reaches someone.

    Done before any rule, so that not even the rows set aside show a number; rules for contacts know these.
    """
    return where(text, language(code).noise.may_hold, partial(mask, code=code))


def mask(texts: pl.Series, code: str) -> pl.Series:
    """Texts without telephone numbers, mail addresses, identity and bank cards, accounts of messengers.

    Twice, because a match takes the character after it, which the next number needs before it.
    """
    for pattern, instead in language(code).noise.masked * 2:
        texts = texts.str.replace_all(pattern, f"${{1}}{instead}${{2}}")
    return texts


@cache
def repairs_in(code: str) -> tuple[Repair, ...]:
    """All repairs, in their order; which data are personal, and their masks, is the language's."""
    return (
        Repair("invisible", "control, zero-width, bidi and private characters hide copies", visible),
        Repair("width", "Ａ and ３ are typesetting: one letter must be one token", one_width),
        Repair(
            "simplified",
            "the model's texts are simplified: 電話 and 电话 must be the same tokens",
            simplified,
        ),
        Repair("marks", "a half-width , ? ! ; : after a Chinese character is the keyboard's", chinese_marks),
        Repair("spaces", "runs of spaces and empty lines are layout", plain_spaces),
        Repair(
            "masked",
            "nobody's telephone, mail, identity card or account may be learnt or published",
            partial(masked, code=code),
        ),
    )


REPAIRS = repairs_in("zh")


def normalised(text: pl.Expr, code: str = "zh") -> pl.Expr:
    """A text as the model will see it: all repairs, in their order."""
    for repair in repairs_in(code):
        text = repair.mend(text)
    return text


def folded(text: pl.Expr) -> pl.Expr:
    """A text as it is compared, never shown: NFKC, small, simplified, no white space, nothing invisible.

    Simplified character by character: 乾坤 and 干坤 fold into one, which is no loss where texts are compared.
    """
    plain = text.str.replace_all(INVISIBLE, "").str.normalize("NFKC").str.to_lowercase()
    return where(plain.str.replace_all(r"\s+", ""), traditional(), characters_simplified)


def characters_simplified(texts: pl.Series) -> pl.Series:
    """Texts converted character by character."""
    table = simplified_characters()
    return texts.str.replace_many(list(table), list(table.values()))


def characters(text: pl.Expr) -> pl.Expr:
    """How many characters, white space left out."""
    return text.str.count_matches(r"\S")


def chinese_share(text: pl.Expr) -> pl.Expr:
    """Chinese characters among the letters and digits, 0 where there are none; kana are taken off."""
    return written_share(text, "zh")


def symbol_share(text: pl.Expr) -> pl.Expr:
    """What is neither letter, digit, accent nor space, among all characters."""
    return text.str.count_matches(r"[^\p{L}\p{N}\p{M}\s]") / characters(text).clip(1)


def broken_share(text: pl.Expr) -> pl.Expr:
    """What a wrong decoding leaves, among all characters."""
    return text.str.count_matches(BROKEN) / characters(text).clip(1)


def is_chinese(text: pl.Expr, share: float = 0.3) -> pl.Expr:
    """Whether at least this share of the letters and digits is Chinese."""
    return chinese_share(text) >= share
