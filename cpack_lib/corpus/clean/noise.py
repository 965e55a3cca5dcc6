"""What stands on pages beside their content: the site's own lines, contacts, offers, spam, floods.

Personal data are masked by plain words in 〔 〕, the brackets of Chinese official writing: a model reads what
stood there, no page has them in this form, and the words are ordinary tokens. Masking is a repair, done
before any rule, so that not even the rows set aside show a number; the rules for contacts know the masks.
"""

import numpy as np
import polars as pl

PHONE, MAIL, IDENTITY, ACCOUNT = "〔电话〕", "〔邮箱〕", "〔证件号〕", "〔账号〕"
BEFORE = r"(^|[^0-9A-Za-z_./=#%@&-])"  # a number does not go on before it, nor is it part of an address
AFTER = r"($|[^0-9A-Za-z_年元万亿-])"  # ... nor does it go on after it, nor is it a price or a year
SAYS = r"\s?(?:是|为)?\s?[：:]?\s?"
NO = r"(?:号码|号)?" + SAYS
AREA = r"(?:\+?86[- ]?)?(?:[（(]?0[0-9]{2,3}[)）]?[- ]?)?"
NUMBER = (  # of any telephone, where a word says that it is one
    rf"(?:[48]00[0-9]{{7}}|{AREA}[0-9]{{3,4}}[- ]?[0-9]{{4}}(?:[- ]?[0-9]{{3,4}})?)(?:-[0-9]{{1,5}})?"
)
CALLED = r"(?:电话|手机(?:号码?|[：:])|热线|传真|座机|致电|拨打|客服|联系方式|(?i:tel|phone|fax)[.：:])"
BORN = r"(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
AT = r"\s?(?:[@＠]|[(（\[]at[)）\]])\s?"
WRITTEN = r"(^|[^/A-Za-z0-9_.+-])[A-Za-z0-9][A-Za-z0-9_.+-]*"
POSTED = r"($|[^:A-Za-z0-9_-]|:\s|:$)"  # git@host:path is no mail
SITES = "#(?:qq|163|126|gmail|foxmail|sina)"  # their @, as it is hidden
QQ = rf"((?:(?-u:\b)[Qq]{{2}}|扣扣|企鹅号|加[Qq扣])(?:群号?)?{NO})"
WECHAT = r"(?:[微薇威Vv]信|加[微Vv])(?:账号|帐号|ID)?"
WX = r"(?-u:\b)(?:[Vv][Xx]|[Ww][Xx]|(?i:wechat))(?:号|ID)?\s?[：:]\s?"  # without a colon it is a program's
IN_FOURS = "(?:62|4[0-9]|5[1-5])[0-9]{2}(?:[ -][0-9]{4}){3}(?: [0-9]{3})?"
MASKED = [  # (pattern, whose two groups stay before and after it; what stands in its place), in this order
    (rf"{WRITTEN}{AT}(?:[A-Za-z0-9-]+\.)+[A-Za-z]{{2,}}{POSTED}", MAIL),
    (rf"{WRITTEN}{SITES}\.com{POSTED}", MAIL),
    (rf"{BEFORE}[1-9][0-9]{{5}}{BORN}[0-9]{{3}}[0-9Xx]{AFTER}", IDENTITY),
    (rf"((?:身份证|证件){NO})(?:[0-9]{{17}}[0-9Xx]|[0-9]{{15}}){AFTER}", IDENTITY),
    (rf"((?:护照|通行证){NO})[A-Z]{{1,2}}[0-9]{{7,8}}{AFTER}", IDENTITY),
    (
        rf"((?:[卡账帐]号|账户|帐户){SAYS})[0-9]{{4}}(?:[ -]?[0-9]{{4}}){{2,3}}(?:[ -]?[0-9]{{1,4}})?{AFTER}",
        ACCOUNT,
    ),
    (rf"{BEFORE}62[0-9]{{14}}(?:[0-9]{{3}})?{AFTER}", ACCOUNT),  # a card of UnionPay
    (rf"{BEFORE}{IN_FOURS}{AFTER}", ACCOUNT),
    (rf"{QQ}[0-9]{{5,11}}{AFTER}", ACCOUNT),
    (rf"({WECHAT}号码?{SAYS})[A-Za-z][A-Za-z0-9_-]{{5,19}}{AFTER}", ACCOUNT),
    (rf"({WECHAT}{NO}|{WX})(?:[A-Za-z]+[0-9_][A-Za-z0-9_-]{{1,18}}|[0-9]{{6,12}}){AFTER}", ACCOUNT),
    (rf"(手机{NO})1[0-9]{{2}}[- ]?[0-9]{{4}}[- ]?[0-9]{{4}}{AFTER}", PHONE),
    (rf"({CALLED}{NO}){NUMBER}(?:[、/，, ]{{1,2}}{NUMBER})*{AFTER}", PHONE),
    (rf"{BEFORE}(?:(?:\+|00)86[- ]?|86[- ])?1[3-9][0-9]-?[0-9]{{4}}-?[0-9]{{4}}{AFTER}", PHONE),
    (
        rf"{BEFORE}[（(]?0[1-9][0-9]{{1,2}}(?:-|[)）]-?)[0-9]{{3,4}}-?[0-9]{{4}}(?:-[0-9]{{1,5}})?{AFTER}",
        PHONE,
    ),
    (rf"{BEFORE}[48]00-(?:[0-9]{{3}}-[0-9]{{4}}|[0-9]{{4}}-?[0-9]{{3}}){AFTER}", PHONE),
]
MAY_HOLD = (  # one of these stands in every text that MASKED changes
    r"[0-9]{4}|[@＠]|[(（\[]at[)）\]]|" + SITES + "|[微薇威Vv]信|[VvWw][Xx]|(?i:wechat)|加[微Vv]"
)

REACHED = r"(电话|手机|热线|传真|邮箱|邮编|微信|[vV]信|QQ|扣扣|企鹅|[Ee]-?mail)(号码?|群)?"

SITE = "|".join(
    [
        r"版权所有|未经许可|不得转载|ICP备|本站|转载自|【转载】|本文(来自|由.{0,20}(原创|编译|整理))",
        r"责任编辑|责编[：:]|^\s*(作者|译者|校对|选题|来源|via)\s*[：:]",
        r"上一[篇页]|下一[篇页]|相关(阅读|推荐|文章)|热门(标签|推荐)|您(当前|现在)的位置|查看原文",
        r"分享到|阅读(次数|全文|原文)|点赞.{0,3}\d|收藏.{0,3}\d",
        r"举报\s*答得好|^(显示|展开|收起)全部$|更新时间戳|仅代表作者(本人|个人)|不代表.{0,6}立场",
        r"浏览器版本|页面(加载|不存在)|登录后(查看|可见)|验证码|缓存信息",
    ]
)
CONTACT = "|".join(
    [
        REACHED + r"\s*[：:]\s*[\w@.+-]*[A-Za-z0-9_@.+-]{5,}",
        REACHED + r"\s*(是|为)?\s*\d{5,}",
        r"(^|\D)1[3-9]\d{9}(\D|$)",  # a mobile
        r"(^|\D)0\d{2,3}-\d{7,8}(\D|$)",  # a landline
        r"[A-Za-z0-9_.+-]+@[\w-]+\.[A-Za-z]+",  # mail
        "|".join((PHONE, MAIL, IDENTITY, ACCOUNT)),  # what the repair "masked" has left of them
    ]
)
ADVERT = "|".join(
    [
        r"(点击|扫码|扫描|长按|识别|进店).{0,12}(二维码|领取|下载|关注|咨询|报名|选购|购买|客服|收藏|头像)",
        r"添加.{0,4}(客服|好友|微信)|关注.{0,8}公众号|[，,](日结|秒回)",
        r"加盟.{0,6}(店|热线|费|详情|政策)|代理加盟|会员.{0,6}(送|续费)|不反弹",
        r"限时(优惠|抢购|特价)|领.{0,6}优惠券|免费(领|试听|咨询|送|量房|出图)|名额仅剩|立减|买一送一",
        r"货到付款|全国包邮|(火热|立即|马上)抢购|坏一赔|工厂直销|高价回收",
    ]
)
OFFENSIVE = {  # words of Chinese web spam's sellers, and abuse; those who warn of it use few of them
    "gambling": "时时彩 六合彩 百家乐 北京赛车 幸运飞艇 快三计划 一肖中特 特码 马会资料 真人荷官 真人视讯 "
    "娱乐城 网上赌场 澳门新葡京 澳门威尼斯人 澳门金沙 葡京赌场 博彩平台 棋牌平台 老虎机 外围投注 赌球 送彩金 "
    "返水 稳赚不赔",
    "sex": "约炮 一夜情 裸聊 成人电影 成人视频 激情视频 黄色网站 三级片 楼凤 包夜 学生妹 全套服务 小姐上门 "
    "催情 春药 迷药 增大增粗",
    "fraud": "办证 刻章 假证 代开发票 信用卡套现 代办信用卡 黑户贷款 无抵押贷款 刷单 刷信誉 兼职日结 代考 "
    "替考 代写论文 论文代发 代办文凭 毕业证办理 私服 窃听器 高仿手表 精仿 祖传秘方 三天见效",
    "abuse": "傻逼 傻B 煞笔 脑残 操你妈 草你妈 草泥马 你妈逼 妈逼 他妈的 狗日的 王八蛋 婊子 贱货 杂种 滚蛋 "
    "去死吧",
}
SPAM = [word for words in OFFENSIVE.values() for word in words.split()]
LONGEST_UNIT = 4  # characters of what is written over and over: 哈, 好的, 顶楼主
SHORTEST_FLOOD = 10  # characters of a stretch of it


def spam_score(text: pl.Expr) -> pl.Expr:
    """Words of spam and abuse per 100 characters (a shorter text counts as 100), 0 where all are the same.

    An article about a lottery repeats that one word; who sells all kinds of things names many in few lines.
    """
    found = text.str.extract_many(SPAM)
    share = 100 * found.list.len() / text.str.len_chars().clip(100)
    return pl.when(found.list.n_unique() > 1).then(share).otherwise(0.0)


def flooded_share(text: pl.Expr) -> pl.Expr:
    """Letters in stretches of SHORTEST_FLOOD or more that repeat what stood up to LONGEST_UNIT before."""
    return text.map_batches(flooded, return_dtype=pl.Float64)


def flooded(texts: pl.Series) -> pl.Series:
    """The share of each text's characters that such stretches hold: strings (N,) -> (N,)."""
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)  # (N,), each with its separator
    codes = np.frombuffer(("\n".join([*texts, ""])).encode("utf-32-le"), np.uint32)  # (all characters,)
    small = codes | 32
    letters = (
        ((small >= ord("a")) & (small <= ord("z")))
        | ((codes >= 0x3400) & (codes < 0xE000))
        | (codes >= 0x20000)
    )
    steps = np.zeros(len(codes) + 1, np.int32)  # +1 where a stretch begins, -1 behind its end
    for unit in range(1, LONGEST_UNIT + 1):
        same = np.zeros(len(codes) + 2, np.int8)
        same[unit + 1 : -1] = (codes[unit:] == codes[:-unit]) & letters[unit:]
        starts, stops = np.flatnonzero(np.diff(same)).reshape(-1, 2).T
        long = stops - starts + unit >= max(SHORTEST_FLOOD, 3 * unit)
        np.add.at(steps, starts[long] - unit, 1)
        np.add.at(steps, stops[long], -1)
    inside = np.cumsum(np.cumsum(steps[:-1]) > 0)  # (all characters,), how many so far
    counts = np.diff(np.append(0, inside[ends - 1]))  # (N,)
    return pl.Series(texts.name, counts / np.maximum(np.diff(np.append(0, ends)) - 1, 1))


def repeated_share(text: pl.Expr) -> pl.Expr:
    """Characters of lines that stand in a text before, among those of all its lines."""
    lines = text.str.split("\n")
    once, all_of_them = (
        each.list.join("").str.len_chars().cast(pl.Int64) for each in (lines.list.unique(), lines)
    )
    return (all_of_them - once) / all_of_them.clip(1)
