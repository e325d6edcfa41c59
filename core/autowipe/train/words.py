"""Texts in many scripts to draw overlays and scene text with: phrases, digits, and letters to make up others from."""

from __future__ import annotations

import numpy as np

PHRASES = {
    "latin": "The boat leaves at six|Where were you last night?|Nobody told me anything|BREAKING NEWS|Episode|Live"
    "|Nous partons demain|¿Qué quieres decir?|Es ist schon spät|Não faz mal|Subscribe|channel one|Round|Good morning"
    "|I don't know|WOW!!|What?!|Wait for me|Sample|Preview copy|all rights reserved|@studio|Weather|Final score|Part"
    "|Ci vediamo dopo|Bir dakika|Đi thôi nào|Zaczekaj chwilę|Už jdu|it was there all along|Hurry up|HAHAHA|Oops",
    "cyrillic": "Куда ты идёшь?|Я ничего не знаю|Новости дня|Прямой эфир|Подожди меня|Завтра утром|Добрий день|Серия",
    "greek": "Καλημέρα σας|Τι ώρα είναι;|Ειδήσεις|Πάμε τώρα|Δεν ξέρω τίποτα",  # noqa: RUF001
    "han": "你在哪里|我们明天出发|今天天气很好|新闻联播|为什么不告诉我|等一下|精彩回放|哈哈哈"
    "|太厉害了吧|不是这样的|欢迎收看",
    "kana": "どこへ行くの|ちょっと待って|ありがとうございます|ニュース速報|えええっ|すごい|また明日|まさか|テレビ",
    "hangul": "어디 가세요|잠깐만 기다려|정말 대박|오늘의 날씨|뭐라고요|감사합니다|속보|하하하|그게 아니라",
    "arabic": "إلى أين تذهب|لا أعرف شيئا|أخبار اليوم|مباشر|صباح الخير|انتظرني|فردا صبح|چه خبر",
    "hebrew": "לאן אתה הולך|אני לא יודע|חדשות היום|שידור חי|בוקר טוב",
    "devanagari": "तुम कहाँ जा रहे हो|मुझे नहीं पता|ताज़ा समाचार|शुभ प्रभात|रुको",
    "thai": "คุณจะไปไหน|ฉันไม่รู้|ข่าวด่วน|สวัสดีตอนเช้า|รอก่อน",
}
RIGHT_TO_LEFT = ("arabic", "hebrew")
UPRIGHT = ("han", "kana", "hangul")  # scripts that are also set from top to bottom

# What a font must be able to draw, so that it counts for a script.
TEST_LETTERS = {
    "latin": "aegRS",
    "cyrillic": "жДщя",
    "greek": "αΣλω",
    "han": "你我天",
    "kana": "あのテ",
    "hangul": "가다요",
    "arabic": "بعهم",
    "hebrew": "אשל",
    "devanagari": "कतम",
    "thai": "กรน",
}


def phrase(rng: np.random.Generator, script: str, longest: int = 30) -> str:
    """A text in a script: phrases of the list, cut, joined and numbered, or made up of their letters."""
    known = PHRASES[script].split("|")
    text = known[rng.integers(len(known))]
    if rng.random() < 0.4:
        text += ("" if script in UPRIGHT else " ") + known[rng.integers(len(known))]
    if rng.random() < 0.25:
        letters = [c for c in PHRASES[script] if c not in "| "]
        size = int(rng.integers(2, 7))
        groups = ["".join(rng.choice(letters, size)) for _ in range(rng.integers(1, 4))]
        text = ("" if script in UPRIGHT else " ").join(groups)
    if rng.random() < 0.15:
        text += f" {rng.integers(1, 2030)}"
    if script in ("latin", "cyrillic", "greek") and rng.random() < 0.2:
        text = text.upper()
    return text[:longest].strip() or known[0]


def clock(rng: np.random.Generator) -> str:
    """Digits as a score box or a clock shows them."""
    shapes = ("{:02d}:{:02d}", "{} - {}", "{}:{}", "{} {}")
    return shapes[rng.integers(len(shapes))].format(int(rng.integers(60)), int(rng.integers(60)))
