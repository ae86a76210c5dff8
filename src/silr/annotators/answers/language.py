"""The phrases around a class's name that say whether it is the answer: cues, negations, refusals."""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

# --- negations: a name in their reach is never the answer -------------------------------------------------------------

_NEGATIVE_WORDS = (
    r"not|non|no|nor|never|neither|none|nothing|cannot|(?:ca|do|does|did|is|are|was|were|wo|would|should|could|have|has"
    r"|had|ai|must|need)n'?t|without|hardly|barely|scarcely|rather than|instead of|other than|than|lacks?|lacking"
    r"|lack of|absence of|devoid of|free (?:of|from)|fail(?:s|ed)?|unlikely|doubt(?:s|ed|ful)?|den(?:y|ies|ied)"
    r"|refut\w{1,4}|reject\w{0,3}|exclud\w{1,4}|rul(?:e|es|ed|ing) out|except|apart from|far from|anything but|all but"
    r"|opposite of|contrary to|less|wrong|incorrect\w{0,2}|inaccurate|mistaken\w{0,2}|false(?:ly)?|avoid\w{0,3}|unable"
    r"|anti|if|whether|unless|although|though|despite|while|whereas|versus|vs|impossible|hard to|difficult to|stretch"
    r"|too \w{1,15} to|nowhere|refus\w{1,3}|reverse|short of|shy of|no longer|disagree\w{0,3}|pretend\w{0,3}"
    r"|disguis\w{1,3}|sarcas\w{1,8}|iron(?:y|ic|ically)|mock\w{0,5}|fake|seemingly|ostensibly|superficially"
    r"|between|on the surface|at first|initially|originally|zero|rarely|seldom|in no way|nil"
)
_FOREIGN_WORDS = (
    r"ni|sin|nunca|tampoco|jamás|pas|ne|sans|jamais|aucune?|nicht|keine?[nmrs]?|weder|noch|ohne|nie|niemals|né|nè|senza"
    r"|mai|não|nao|nem|sem|niet|geen|zonder|nooit|nie|ani|bez|не|ни|нет|без|нельзя|никогда|ні|inte|ej|ingen|inget|ikke"
    r"|ei|ne|není|nem|tidak|bukan|tanpa|không|chẳng|ليس|ليست|لا|غير|لم|لن|بدون|नहीं|नही|לא|אינו|אינה|δεν|όχι|μη|ούτε|nu|nici"
    r"|keineswegs|keinesfalls|mitnichten|kaum|guère|nullement|aucunement|affatto|allerminst|nauwelijks|nije|nisu|nema"
    r"|nuk|ez (?:da|dira|dago|du)|არ|არა|არაა|ვერ|չէ|չի|ոչ|emas|емес|эмес|түгел|deyil|däl|биш|бус|ekki|icke|næppe|nav"
    r"|nėra|mhux|nid|níl|ní|hindi|dili|tsy|tsis|няма|немає|нема|nahin?|sio|siyo|yo'q|yox|yok|жоқ|жок|نہیں|نهیں|نییە|ئەمەس"
)
_WITHOUT_BORDERS = unicodedata.normalize(  # a word ends with a mark here, which is no letter for \b
    "NFKC", "নয়|নেই|இல்லை|இல்ல|அல்ல|కాదు|లేదు|ಅಲ್ಲ|ಇಲ್ಲ|അല്ല|ഇല്ല|નથી|નહીં|ਨਹੀਂ|නොවේ|නැත|မဟုတ်|မရှိ|អត់|មិន|ບໍ່|አይደለም|होइन|छैन|नाही|नहीं|नही"
)
_NEGATIVE = (
    rf"\b(?:{_NEGATIVE_WORDS}|{_FOREIGN_WORDS})\b|n't\b|\bn'(?=\w)|[❌✗✘✖❎⛔🙅🚫≠☐⬜□▢◻🔲¬]|\[[\s_]{{0,3}}\]|!="
    rf"|(?=[^\x00-\x7f])(?:{_WITHOUT_BORDERS})"
)
_HARMLESS = re.compile(
    r"\b(?:without (?:a |any )?doubt|no doubt|undoubtedly|no question|nothing but|(?:can't|cannot|can not) help but"
    r"|not (?:only|just|merely|simply)|no less than|if anything|more than"
    r"|if (?:i|we|you|one) (?:had|have|has|must|need|were) to)\b"
)
_BEFORE = re.compile(_NEGATIVE)
_BEFORE_CHINESE = re.compile(r"[不非没沒無无未别莫勿否反]|안 |못 |(?:비|무|불|몰)\s?$|ไม่|มิใช่")
_ATTACHED = re.compile(
    r"[^\W_]-$|\b(?:non|not|un|anti|no)[ -]?$|(?<![\w!~])[!~]$|(?<![\d.])[0-4]?\d(?:\.\d+)?\s?%\s{1,3}$"
    r"|\b(?:si|pole|pa|ba)\s{1,3}$"  # Swahili, Estonian, Haitian, Hausa; words of others elsewhere
)
_SPEAKER = re.compile(
    r"\b(?:(?:i|we)(?:'d|'ll| would| will| do| really| also| must){0,3}|i(?:'m| am)(?: very| really| quite| so)?"
    r"|(?:remain|stay)(?:ing|s)?(?: \w{1,12})?|your|my)\s$"
)
_RESET = re.compile(
    r"(?:,\s{0,3}|;\s{0,3})(?:so|thus|therefore|hence|it'?s|it is|this is|that is|i'd|i would|i'll|the|this|overall"
    r"|consequently|instead|rather|making|which makes|meaning)\b|\b(?:but|however)\b(?<!anything but)(?<!nothing but)"
    r"(?<!all but)|[,、](?=\s{0,2}[\u3040-\u9fff])|[—;]|\b(?:the|my) (?:final |correct |best )?"
    r"(?:answer|label|class|category) (?:is|would be)\b"
)
_AFTER = re.compile(
    rf"{_NEGATIVE}|\b(?:değil|değildir|نیست|לא נכון)\b|नहीं"
    r"|아[니닙님닌]|않|없|못|ない|ません|なく|なし|じゃな|違|不|非|没|沒|无|無|错|誤"
    r"|[:=(]\s{0,3}(?:0?\.[0-4]\d*\b|[0-4]?\d(?:\.\d+)?\s?%|0(?![\d.]))"  # an unlikely class
    r"|[:=(]\s{0,3}(?:n/?a|nope|low|very low|minimal|negligible|nein|否)(?!\w)"
    r"|\b(?:absent|missing|out of the question|out|ruled out)\s{0,2}$"
)
_AFTER_END = re.compile(
    r"\b(?:because|since|as|due to|given|with|so|but|which|that|who|about|for|in|although|though|despite|while"
    r"|even if|, and|, it|, the|, i)\b|[—,]|\((?!\s?(?:\d|(?:no|not|n/?a|false|nope|none|nein)\s?\)))"
    r"|\s-\s(?!(?:no|not|n/a|false|nope|none)\W{0,3}\Z)"
    r"|:(?!\s{0,3}(?:no|not|false|n/?a|nope|none|nil|never|low|very low|minimal|negligible|nein|нет|否|\d|\.\d|[✗❌]))"
)
_ATTACHED_AFTER = re.compile(r"-\w|/")
_CONTRAST = re.compile(r"\s{0,3},?\s{0,3}(?:,|\band\b|\bbut\b)?\s{0,3}(?:isn't|not|n't|wrong|incorrect)\b")
_IF = re.compile(r"\b(?:if|unless)\b")
_CONDITION = re.compile(r"\b(?:if|unless|when|depending)\b")
INTENSIFIER = re.compile(
    r"\b(?:very|extremely|highly|strongly|deeply|slightly|somewhat|mildly|weakly|moderately|quite|rather|fairly|really|so"
    r"|too|partly|partially|mostly|mainly|most|more|sehr|muy|très|tres|molto|muito|очень|很|非常|とても)\s{0,3}$"
)


_DEGREES = (
    r"very|extreme|super|ultra|hyper|mega|strong|slight|mild|weak|moderate|intense|much|pretty|a (?:bit|little|lot)"
    r"|(?:kind|sort) of|borderline"
    r"|(?!(?:clear|definite|like|probab|certain|sure|simp|on|actual|obvious|evident|apparent|general|final|plain|main"
    r"|therefore|direct|explicit|undoubted|unmistakab|unambiguous|undeniab|indeed|literal|correct|accurate|best)ly\b)\w{3,}ly"
)
_DEGREE_BEFORE = re.compile(rf"{INTENSIFIER.pattern.removesuffix('$')}[\s-]{{0,3}}$|\b(?:{_DEGREES})[\s-]{{1,3}}$")
_DEGREES_AFTER = (
    r"(?:very|extremely|strongly|highly|super|slightly|somewhat|mildly|intensely"
    r"|in the extreme|to an? \w{3,10} (?:degree|extent))\b"
)
_DEGREE_AFTER = re.compile(rf"[\s,(!.-]{{1,5}}{_DEGREES_AFTER}")
_BRACKETED_DEGREE = re.compile(rf"[!.]{{1,3}}\s{{0,3}}\({_DEGREES_AFTER}")  # beyond the end of the sentence


def has_degree(before: str, after: str, beyond: str) -> bool:
    """Whether a class is named with a degree, so that another may be meant: "super positive", "positive (very)".

    The sentence stands `before` and `after` the name; `beyond` goes on after its end.
    """
    return bool(_DEGREE_BEFORE.search(before) or _DEGREE_AFTER.match(after) or _BRACKETED_DEGREE.match(beyond))


def is_negated(before: str, after: str) -> bool:
    """Whether a name is denied, or put under a condition, by its sentence up to it and on from it, in small letters."""
    before = _HARMLESS.sub(" ", before) if before else before
    if _IF.search(before):
        return True
    start = 0
    for reset in _RESET.finditer(before):
        start = reset.end()
    before = before[start:]
    if before and (_ATTACHED.search(before) or _BEFORE.search(before) or _BEFORE_CHINESE.search(before)):
        return True
    if not after:
        return False
    if _ATTACHED_AFTER.match(after) or _CONTRAST.match(after):
        return True
    end = _AFTER_END.search(after)
    return bool(_AFTER.search(_HARMLESS.sub(" ", after[: end.start()] if end else after)) or _CONDITION.search(after))


def is_of_speaker(name: str, before: str) -> bool:
    """Whether the model says a name of itself or the user: "I'm positive that", "I'd hate to"; not "I can't tell"."""
    return re.match(r"[^\W_]+\Z(?<!sure)(?<!tain)", name) is not None and _SPEAKER.search(before) is not None


# --- cues: what announces the answer ----------------------------------------------------------------------------------

_NOUNS = (
    r"answer|label|class|classification|category|sentiment(?: analysis)?|topic|stance|emotion|intent|polarity|tone"
    r"|verdict|decision|prediction|conclusion|result|output|response|choice|option|rating|score|grade|judgment|judgement|assessment|type"
    r"|genre|subject|ideology|toxicity|attitude|feeling|mood|value|letter|respuesta|réponse|antwort|etiqueta|étiquette"
    r"|risposta|resposta|categoría|catégorie|categoria|kategorie|klasse|clase|classe|sentimiento|sentimento|stimmung"
    r"|ответ|метка|категория|класс|тональность|cevap|yanit|etiket|kategori|odpowiedź|etykieta|kategoria|svar|jawaban"
    r"|الإجابة|التصنيف|उत्तर"
)
_FINAL_NOUNS = "verdict|decision|conclusion"
_START = (
    r"(?:\A|[\n.;,!?:()。、—>]|\b(?:so|thus|therefore|hence|but|and|overall)\b)[\s\"]{0,6}"
    r"(?:(?:the|my|our|its|this|la|le|die|il|a|mi|ma|meine)\s{1,3}){0,2}"
)
_ADJECTIVE = (
    r"(?:(?:correct|best|most|likely|appropriate|predicted|overall|suitable|right|chosen|assigned|main|primary"
    r"|suggested|text|sentiment|topic|emotion|review|single|short)(?:'s)?[\s_]{1,3}){0,4}"
)
_OF = r"(?:\s{1,3}(?:of|for)\s{1,3}(?:the|this)\s{1,3}\w{1,20})?\"?\s{0,4}"
_COLON = rf"{_OF}(?:[:=]|[-=]>|→|\s-\s|(?=\n))"
_IS = rf"{_OF}(?:is|was|would be|should be|must be|est|es|ist|è|é|lautet)\b\s{{0,3}}:?"
_CERTAIN_NOUNS = (  # "the result is" may go on in another way
    "answer|label|class|classification|category|prediction|option|choice|letter|respuesta|réponse|antwort|etiqueta"
    "|étiquette|risposta|resposta|categoría|catégorie|kategorie|klasse|ответ|метка|категория|класс"
)
_CHINESE = (
    "(?:答案|标签|標籤|类别|類別|分类|分類|情感|结论|結論|回答|答え|ラベル|カテゴリー?|感情"
    r"|정답|답변|답|분류|레이블|결론|감정|카테고리)\s{0,3}(?:应该是|應該是|应为|是|为|為|は|은|는|:|=)"
)
_FINAL_FOREIGN = (
    r"respuesta final|réponse finale|endgültige antwort|finale antwort|risposta finale|resposta final"
    r"|(?:окончательный|итоговый) ответ"
)
_CONCLUDING = (
    r"(?:\A|[\n.;,!?—)]|\b(?:and|but)\b)\s{0,6}(?:overall|in conclusion|to conclude|in summary|to summari[sz]e|in sum"
    r"|on balance|on the whole|all in all|ultimately|in the end|therefore|thus|hence|consequently|as a result"
    r"|accordingly|taken together|so|(?:总体|整体)(?:来说|而言|上)?|因此|所以|综上(?:所述)?|したがって|よって|따라서)"
    r"(?![a-z])[\s:,]{0,4}"
    r"|(?:\A|[\n.;,!?—)]|\b(?:and|but|so)\b)\s{0,6}i(?:'d|'ll| would| will)?\s{1,3}(?:classify|label|categori[sz]e"
    r"|choose|pick|go with|select|assign|rate|say|call)\b"
)
CORRECTION = re.compile(  # of the answer by itself
    r"\b(?:wait|actually|on second thought|on reflection|correction|scratch that|i take that back|let me re\w{1,12})\b"
)


@lru_cache(maxsize=64)
def cues(names: Collection[str]) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Return patterns of what announces a final answer, an answer, and a conclusion.

    None of the classes' `names`, in small letters, announces anything.
    """
    nouns, certain, final_nouns = (
        "|".join(noun for noun in pattern.split("|") if noun not in names) or "(?!)"
        for pattern in (_NOUNS, _CERTAIN_NOUNS, _FINAL_NOUNS)
    )
    last = rf"(?:final|ultimate|definitive)[\s_]{{1,3}}{_ADJECTIVE}"
    final = (
        rf"{_START}{_ADJECTIVE}(?:(?:{last}(?:{nouns})|{final_nouns}){_COLON}|{last}(?:{nouns}){_IS})"
        rf"|(?:{_FINAL_FOREIGN})(?:{_COLON}|{_IS})|(?:最终|最終|최종)\s?(?:的)?{_CHINESE}"
    )
    plain = rf"{_START}{_ADJECTIVE}(?:(?:{nouns}){_COLON}|(?:{certain}){_IS})|(?<![不非无错誤误]){_CHINESE}"
    return re.compile(final), re.compile(plain), re.compile(_CONCLUDING)


# --- refusals and courtesies ------------------------------------------------------------------------------------------

REFUSAL = re.compile(
    r"\bi(?:'m| am)? (?:really |truly |so )?(?:sorry|apologi[sz]e|afraid|unable|not able|not comfortable)\b"
    r"|\bi (?:can't|cannot|can not|cant|won't|will not|must decline|decline|would rather not|do not feel comfortable)\b"
    r"|\bi'd rather not\b|\bi don't feel comfortable\b|\bas an? (?:ai|artificial|language|large)\b|\bas a responsible\b"
    r"|\bapologies\b|\b(?:request|content|text|prompt) (?:violates|(?:has been|was) (?:blocked|flagged))\b"
    r"|\blo siento\b|\bno puedo\b|\bdésolée?\b|\bje ne peux pas\b|\btut mir leid\b"
    r"|\bich kann (?:nicht|das nicht|dabei)\b"
    r"|\bmi dispiace\b|\bnon posso\b|\bdesculpe\b|\bnão posso\b|\bhet spijt me\b"
    r"|\bизвините\b|\bя не могу\b|\bпростите\b"
    r"|抱歉|对不起|對不起|我(?:无法|不能|無法)|无法(?:回答|提供|协助|帮助)"
    r"|申し訳|お答えできません|죄송|할 수 없습니다|آسف|üzgünüm"
)
_STRONG_REFUSAL = re.compile(
    r"\A\W{0,5}(?:i(?:'m| am) (?:really |very |so )?sorry\b.{0,40}?|sorry\b.{0,20}?|as an? .{0,60}?"
    r"|unfortunately\W{0,3}|i apologi[sz]e\b.{0,40}?)?\bi(?:'m| am)? ?(?:can't|cannot|can not|cant|won't|will not"
    r"|unable to|not able to|must decline|decline)(?: \w{1,12}){0,2}? (?:help|assist|comply|provide|fulfil\w{0,5}"
    r"|generate|engage|discuss|process|continue|analy[sz]e|answer|respond|support|create|participate|do that|do this"
    r"|complete|rate|judge|evaluate|classify|label)\b",
    re.DOTALL,
)
_COURTESY = re.compile(
    r"\bi(?:'d| would| will|'ll|'m| am)?(?: be)? (?:more than )?(?:love|happy|glad|delighted|pleased) to\b"
    r"|\bhappy to (?:help|assist)\b|\b(?:i hope (?:this|that) helps|let me know if)\b|\bthank(?:s| you)\b"
    r"|\b(?:good|great|interesting) question\b|\bno problem\b|\bas an ai(?: language)?(?: model| assistant)?\b"
    r"|\A\W{0,3}(?:sure|certainly|of course|absolutely|okay|great)(?:[!,.]|\s-)(?=\s{0,3}\w)"
)
_DECLINED = re.compile(
    r"\btoo [\w-]{1,20}(?: for (?:me|us))? to (?:process|classify|label|rate|judge|analy[sz]e|evaluate|handle|discuss"
    r"|answer|assess|read|engage|respond|review)\b"
    r"|\bi (?:must |have to |will )?(?:refuse|decline)(?:d)? to (?:label|classify|answer|rate|judge|analy[sz]e|evaluate"
    r"|process|respond|comply|assist|help|engage|assess|do|categori[sz]e|provide|continue|read|discuss)\b"
    r"|\b(?:i (?:must )?decline|i refuse)\s?[.!]"
    r"|\bplease (?:rephrase|reword|re-?phrase your|revise your|modify your|change your|edit your|try again"
    r"|try (?:a different|another)|submit (?:a different|another)|provide (?:a different|another))\b"
    r"|\A\W{0,5}sorry\W{1,3}(?:but )?(?:this|the|your) (?:content|text|request|prompt|message|input) (?:is|may|might"
    r"|seems|appears|violates|contains|was|has)\b"
    r"|\b(?:against|violates?) (?:my|our|the) (?:\w{1,12} )?(?:guidelines|polic(?:y|ies)|rules|terms)\b"
)


def courtesies(text: str) -> list[tuple[int, int]]:
    """Return where an answer, in small letters, has phrases that say nothing: "I'd be happy to"."""
    return [match.span() for match in _COURTESY.finditer(text)]


def refuses(text: str) -> bool:
    """Whether an answer, in small letters, opens with a refusal to do what was asked; a class that it names is none."""
    return any(pattern.search(text[:400]) for pattern in (_STRONG_REFUSAL, _DECLINED))
