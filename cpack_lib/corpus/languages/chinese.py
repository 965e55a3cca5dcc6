"""Chinese: its letters and instructions, what its web pages are full of, how they define and report.

Personal data are masked by plain words in 〔 〕, the brackets of official writing: a model reads what stood
there, no page has them in this form, and the words are ordinary tokens.
"""

from cpack_lib.corpus.languages.language import Forms, Language, Noise
from cpack_lib.corpus.languages.patterns import BEFORE, IN_FOURS, MAIL, PLAIN_MAIL, POSTED, WRITTEN

PHONE, MAILED, IDENTITY, ACCOUNT = "〔电话〕", "〔邮箱〕", "〔证件号〕", "〔账号〕"
AFTER = r"($|[^0-9A-Za-z_年元万亿-])"  # a number does not go on after it, nor is it a price or a year
SAYS = r"\s?(?:是|为)?\s?[：:]?\s?"
NO = r"(?:号码|号)?" + SAYS
AREA = r"(?:\+?86[- ]?)?(?:[（(]?0[0-9]{2,3}[)）]?[- ]?)?"
NUMBER = (  # of any telephone, where a word says that it is one
    rf"(?:[48]00[0-9]{{7}}|{AREA}[0-9]{{3,4}}[- ]?[0-9]{{4}}(?:[- ]?[0-9]{{3,4}})?)(?:-[0-9]{{1,5}})?"
)
CALLED = r"(?:电话|手机(?:号码?|[：:])|热线|传真|座机|致电|拨打|客服|联系方式|(?i:tel|phone|fax)[.：:])"
BORN = r"(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
SITES = "#(?:qq|163|126|gmail|foxmail|sina)"  # their @, as it is hidden
QQ = rf"((?:(?-u:\b)[Qq]{{2}}|扣扣|企鹅号|加[Qq扣])(?:群号?)?{NO})"
WECHAT = r"(?:[微薇威Vv]信|加[微Vv])(?:账号|帐号|ID)?"
WX = r"(?-u:\b)(?:[Vv][Xx]|[Ww][Xx]|(?i:wechat))(?:号|ID)?\s?[：:]\s?"  # without a colon it is a program's
MASKED = [
    (MAIL, MAILED),
    (rf"{WRITTEN}{SITES}\.com{POSTED}", MAILED),
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
        PLAIN_MAIL,
        "|".join((PHONE, MAILED, IDENTITY, ACCOUNT)),  # what the repair "masked" has left of them
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
OFFENSIVE = {  # words of Chinese web spam's sellers, and abuse
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

DATELINE = (
    r"^\s*[【（]?\p{Han}{0,12}(?:社|网|报|台|刊)[^，。！？、：]{0,24}?(?:日[电讯]|讯|消息|报道)"
    r"(?:\s?[（(][^）)]{1,40}[）)]\s?[：:]?|[】）]|[：:，]|\s)\s*"
)
SUBJECT = r"^([《“]?[\p{Han}\p{Latin}\d·\- ]{2,16}?[》”]?)(?:（[^）]{1,60}）|\([^)]{1,60}\))?，?"
DEFINED = (
    r"(?:是一[种个款项类门座部条名位组套段份片支只所家本]|是(?:指|由|位于|我国|中国|世界)|"
    r"就是|指的是|又称|又名|也叫|俗称|系指)[^。]{6,}。"
)
UNNAMED = (
    r"^(?:[这那它他她我你您该此其本如但也还都不当因所虽然而或即若在从以为对今昨第每有只最]|"
    r"目前|位于|正在|一[般些个]|很多|许多|前款|由于|如果|另外|默认)|"
    r"[都也的认同仅只不很则说里中上]$|(?:主要|通常|一般|实际上|其实|保证)$|使用术语"
)

CHINESE = Language(
    code="zh",
    name="Chinese",
    mteb="cmn-Hans",
    letters=r"\p{Han}",
    others=r"[\p{Hiragana}\p{Katakana}]",  # Japanese has them between its Chinese characters
    least=0.3,
    spread=1,
    tokenizer="pieces",  # no spaces: a piece may be several characters
    grams={"analyzer": "char", "ngram_range": (1, 2)},
    instructions={
        "search": "为这个句子生成表示以用于检索相关文章：",
        "sts": "为这个句子生成表示以用于比较语义是否相同：",
        "nli": "为这个句子生成表示以用于判断两句能否互相推出：",
        "classification": "为这个句子生成表示以用于分类：",
        "clustering": "为这个句子生成表示以用于聚类：",
    },
    noise=Noise(
        site=SITE,
        contact=CONTACT,
        advert=ADVERT,
        spam=tuple(word for words in OFFENSIVE.values() for word in words.split()),
        masked=tuple(MASKED),
        may_hold=MAY_HOLD,
    ),
    forms=Forms(
        ends=r"[。！？!?；;\n]",
        joint="：",
        dateline=DATELINE,  # 新华社北京5月3日电
        subject=SUBJECT,
        around=r"^[《》“” ]+|[《》“” ]+$",
        defined=DEFINED,
        unnamed=UNNAMED,
    ),
)
