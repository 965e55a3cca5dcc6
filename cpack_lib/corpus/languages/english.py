"""English: its letters and instructions, what its web pages are full of, how they define and report."""

from cpack_lib.corpus.languages.language import Forms, Language, Noise
from cpack_lib.corpus.languages.patterns import BEFORE, IN_FOURS, PLAIN_MAIL, POSTED, WRITTEN, either

PHONE, MAILED, IDENTITY, ACCOUNT = "[telephone]", "[mail]", "[identity number]", "[account]"
AFTER = r"($|[^0-9A-Za-z_-])"
NO = r"(?: number| no\.?)?(?: is)?\s?[:#]?\s?"
AMERICAN = r"(?:\([2-9][0-9]{2}\)\s?|[2-9][0-9]{2}[-.])[0-9]{3}[-.][0-9]{4}(?: ?(?i:ext|x)\.? ?[0-9]{1,5})?"
ABROAD = r"\+[0-9]{1,3}[- ]?(?:\(0\))?[0-9]{1,4}(?:[- ][0-9]{2,4}){2,4}"
NUMBER = r"\+?[0-9(][0-9() .-]{5,18}[0-9]"  # of any telephone, where a word says that it is one
CALLED = (
    r"(?i:\b(?:(?:tele|cell ?)?phone|tel|fax|mobile|hotline|whatsapp|(?:text|ring|call|dial)(?: us)?"
    r"(?: at| on)?)\b\.?)"
)
MASKED = [
    (rf"{WRITTEN}(?:@|\s?[(\[]at[)\]]\s?)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{{2,}}{POSTED}", MAILED),
    (rf"((?i:\bssn|\bsocial security){NO})[0-9]{{3}}-?[0-9]{{2}}-?[0-9]{{4}}{AFTER}", IDENTITY),
    (rf"((?i:\bpassport|\bdriver'?s licen[cs]e){NO})[A-Z]{{0,2}}[0-9]{{6,9}}{AFTER}", IDENTITY),
    (rf"{BEFORE}{IN_FOURS}{AFTER}", ACCOUNT),
    (rf"{BEFORE}[A-Z]{{2}}[0-9]{{2}}(?: [A-Z0-9]{{4}}){{3,7}}(?: [A-Z0-9]{{1,3}})?{AFTER}", ACCOUNT),  # IBAN
    (rf"((?i:\baccount|\brouting){NO})[0-9]{{6,17}}{AFTER}", ACCOUNT),
    (rf"((?i:\bskype|\btelegram)\s?:\s?)@?[A-Za-z][A-Za-z0-9_.-]{{4,31}}{AFTER}", ACCOUNT),
    (rf"({CALLED}{NO}){NUMBER}{AFTER}", PHONE),
    (rf"{BEFORE}(?:\+?1[-. ])?{AMERICAN}{AFTER}", PHONE),
    (rf"{BEFORE}{ABROAD}{AFTER}", PHONE),
]
MAY_HOLD = r"[0-9]{3}|[@＠]|[(\[]at[)\]]|(?i:skype|telegram)"

SITE = either(
    r"all rights reserved|©\s?\d{4}|copyright (?:©|\(c\)|\d{4})|terms of (?:use|service)|privacy policy",
    r"(?:accept|use|uses) (?:all )?cookies|cookie (?:policy|settings)|for study and reference",
    r"^\s*(?:posted|written|reviewed|edited) by\b|^\s*(?:author|editor|source|via|tags?|filed under)\s*:",
    r"reposted from|originally (?:published|posted|appeared)|reprinted with permission",
    r"(?:previous|next) (?:page|post|article|chapter)\s*(?:[:»>→]|$)",
    r"related (?:articles|posts|stories|reading)",
    r"^\s*(?:read|learn|show|load|see) more\s*(?:…|\.\.\.|»|>)?\s*$|continue reading|back to (?:the )?top",
    r"skip to (?:main )?content|^\s*(?:you are here|table of contents)|popular (?:tags|posts)",
    r"share this (?:article|page|post|story)|^\s*share (?:on|via)\b|follow us on",
    r"\bread \d+ times|\bliked \d+ times|^\s*\d+ (?:comments|likes)",
    r"(?:log|sign) in (?:first )?to (?:read|view|see|continue|reply|comment)|leave a (?:reply|comment)",
    r"subscribe to (?:our|the|this)|sign up for our|newsletter|do not necessarily reflect",
    r"your browser (?:is|does|must)|enable javascript",
    r"page (?:is )?(?:loading|not found)|page you (?:asked|are looking) for",
    r"verification code|captcha|will be redirected",
)
CONTACT = "|".join(
    [
        rf"{CALLED}{NO}\+?[0-9(][0-9() .-]{{5,}}",
        rf"{BEFORE}(?:\+?1[-. ])?{AMERICAN}",
        rf"{BEFORE}{ABROAD}",
        PLAIN_MAIL,
        r"(?i:\b(?:skype|telegram|whatsapp))\s?:\s?@?[A-Za-z0-9+][A-Za-z0-9_.-]{4,}",
        "|".join(mask.replace("[", r"\[").replace("]", r"\]") for mask in (PHONE, MAILED, IDENTITY, ACCOUNT)),
    ]
)
ADVERT = either(
    r"click (?:here(?: (?:for|to|now)|[.!:]|$)|below|the link|to (?:buy|order|claim))|add to (?:cart|basket)",
    r"(?:^|[.,:!-] )(?:buy|order|shop|book|call|enrol|register|download|subscribe) (?:now|today)\b",
    r"order yours|scan the code",
    r"today only|limited[- ]time|while (?:stocks|supplies) last|don't miss out",
    r"only \w+ (?:places|seats|left)\b|(?:first|next) \w+ (?:to register|customers|callers|buyers)",
    r"\b\w+(?:%| per ?cent) off\b|\boff (?:every|your|any|all) (?:order|purchase)|buy one,? (?:and )?get one",
    r"free (?:shipping|delivery|trial|quote|gift|sample|consultation)|money[- ]back guarantee|no obligation",
    r"(?:coupon|promo|discount|voucher) code|for the coupon|save (?:up to|half|\$|£|€|\d)",
    r"straight from the factory|cash on delivery|best price|lowest price|guaranteed results|franchise",
)
OFFENSIVE = {  # phrases of English web spam's sellers, and abuse
    "gambling": "online casino, casino bonus, free spins, slot machines, sports betting, betting tips, "
    "poker room, no deposit bonus, jackpot winner, sure bets",
    "sex": "hot singles, adult video, porn, escort service, live cams, nude pics, viagra, cialis, "
    "penis enlargement, hookup",
    "fraud": "payday loan, no credit check, make money fast, work from home, get rich quick, "
    "double your money, crypto giveaway, guaranteed profit, fake documents, buy followers, "
    "buy likes, essay writing service, write my essay, replica watches, cheap meds, "
    "no prescription, miracle cure, lose weight fast, diploma for sale, hacked accounts, "
    "selling accounts, wire transfer fee",
    "abuse": "fuck you, fucking, asshole, motherfucker, son of a bitch, piece of shit, dickhead, scumbag, "
    "you moron, shut up idiot, kill yourself, retard",
}

PLACE = r"[A-Z][A-Z.'-]+(?: [A-Z][A-Z.'-]+){0,3}(?:, [A-Z][a-z]+\.?)?"  # NEW YORK, KHARTOUM, Sudan
DAY = r"(?:, (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? [0-9]{1,2})?"
AGENCY = r"\([A-Z][A-Za-z ]{1,24}\)"  # (Reuters), (AP)
DATELINE = rf"^\s*(?:{PLACE}{DAY}(?: {AGENCY})?|{AGENCY})(?:\s(?:--|[-–])\s|\s?—)\s*"
WORD = r"[\p{Latin}\d'’·\-]"
SUBJECT = rf"^((?:(?:The|An?) {WORD}|[\p{{Lu}}\d]){WORD}*(?: {WORD}+){{0,5}}?)(?: \([^)]{{1,60}}\))?,? "
DEFINED = (
    r"(?:(?:is|are|was|were) (?:an?|the|one of|any|some) |means (?:an?|the) |"
    r"(?:refers? to|denotes|stands for|is (?:called|known as|defined as)) )[^.]{12,}\."
)
UNNAMED = (
    r"^(?i:it|its|this|that|these|those|there|here|he|she|they|we|you|i|who|what|which|where|when|while|why|"
    r"how|if|as|at|in|on|of|for|from|with|by|to|but|and|or|so|yet|because|since|although|though|then|now|"
    r"today|yesterday|once|one|each|every|some|many|most|all|both|another|other|such|my|your|our|their|his|"
    r"her|any|not|no|nothing|everything|something|only|also|still|even|however|currently|usually)\b|"
    r"^(?i:result|problem|reason|answer|question|idea|point|difference|aim|goal|rest|first|second|last|same|"
    r"following|latter|former|purpose|trick|catch|thing|truth|fact)\b|"
    r"\b(?i:that|which|who|if|when|because|not|only|also|is|are|was|were|has|have|can|will)\b"
)

ENGLISH = Language(
    code="en",
    name="English",
    mteb="eng-Latn",
    letters=r"[A-Za-z]",
    others=r"[\p{Latin}&&[^A-Za-z]]",  # ü, é, ñ: French, German and Spanish have them, English hardly
    least=0.7,
    spread=2,
    tokenizer="wordpiece",  # spaces part the words, and words fall into pieces
    grams={"analyzer": "word", "ngram_range": (1, 1), "token_pattern": r"(?u)\b\w+\b"},
    instructions={
        "search": "Represent this sentence for searching relevant passages: ",
        "sts": "Represent this sentence for comparing meanings: ",
        "nli": "Represent this sentence for judging entailment: ",
        "classification": "Represent this sentence for classification: ",
        "clustering": "Represent this sentence for clustering: ",
    },
    noise=Noise(
        site=SITE,
        contact=CONTACT,
        advert=ADVERT,
        spam=tuple(phrase for phrases in OFFENSIVE.values() for phrase in phrases.split(", ")),
        masked=tuple(MASKED),
        may_hold=MAY_HOLD,
    ),
    forms=Forms(
        ends=r"[!?;\n]|\.\s",
        joint=": ",
        dateline=DATELINE,  # LONDON, May 3 (Reuters) -
        subject=SUBJECT,
        around=r"^(?:The|An?) ",
        defined=DEFINED,
        unnamed=UNNAMED,
    ),
)
