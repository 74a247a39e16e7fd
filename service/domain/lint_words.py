"""Words that a template must not use, or not without others: medicines, and the words patients are asked to answer with."""

from collections.abc import Iterator

import regex

from service.domain.draft import Draft, Fault
from service.domain.replies import normalise
from service.domain.segments import tidy

_DRUG = regex.compile(
    r"\b(?:aspirin|coraspin|ecopirin|ibuprof|advil|nurofen|(?:blood )?thinner|anti-?coagula|antiplatelet|antiagregante|"
    r"diluyente|warfarin|coumadin|clopidogrel|klopidogrel|plavix|apixaban|apiksaban|eliquis|rivaroxaban|rivaroksaban|xarelto|"
    r"dabigatran|pradaxa|heparin|kan suland|kan incelt)\w*"
)
_MEDICINE = regex.compile(r"\b(?:medicin|medication|medicament|pill|pastilla|ilac|hap(?:i|lar)|tablet|drug)\w*")
_STOPPING = regex.compile(
    r"\b(?:stop(?:ping)?\b(?! to\b)|discontinue|quit\b|come off|skip\b|"
    r"dej(?:e|ar|a) (?:de|el|la|los|las|su|sus)\b|suspend\w+|interrump\w+|pare de\b|"
    r"birak(?:in|iniz|mayin|mayiniz)?\b|kes(?:in|iniz)\b(?= *(?:,|$| ve\b))|durdurun|ara verin)"
)
_SENTENCE = regex.compile(r"[^.!?;\n]+")


def drug_without_safety_sentence(draft: Draft) -> Iterator[Fault]:
    """To "avoid aspirin" must never be read as "stop the aspirin your doctor ordered": a stroke, to save a bruise."""
    keep = draft.vocabulary.keep_prescribed.get(draft.language)
    named = _DRUG.search(draft.folded)
    if named and (keep is None or tidy(keep) not in draft.text):
        sentence = (
            f'"{keep}"' if keep else f"the approved safety sentence, which does not exist in {draft.language!r} yet."
        )
        yield Fault(
            "keep_prescribed_missing", named.start(), f"A text that names {named[0]!r} must also say: {sentence}"
        )


def stopping_a_medicine(draft: Draft) -> Iterator[Fault]:
    """Forbidden even as "do not stop": cut off or misread, the sentence would say the opposite."""
    for sentence in _SENTENCE.finditer(draft.folded):
        stopping = _STOPPING.search(sentence[0])
        if stopping and (_DRUG.search(sentence[0]) or _MEDICINE.search(sentence[0])):
            message = f"{stopping[0]!r} stands in one sentence with a medicine. Say what to keep taking, or ask to call the clinic."
            yield Fault("stop_medicine", sentence.start() + stopping.start(), message)


_WORD = regex.compile(r"(?<!°)\b\w+")
_CUES = (
    regex.compile(r"\b(?:reply|respond|answer|responda|conteste|envie)(?: with| con)? [\"']?(\w+)"),
    regex.compile(r"(\w+)[\"']? (?:yazin|yaziniz|gonderin|cevaplayin|yanitlayin)\b"),
)
_ASKING = regex.compile(
    r"\b(?:reply|respond|text (?:us )?back|answer (?:us|with|this)|responda|conteste|(?:envie|mande)(?= (?:un )?sms)|"
    r"(?:yazin|yaziniz|gonderin|cevaplayin|yanitlayin))\b"
)
_CHOICE = regex.compile(r"\b(\d+) ?=")
_SMALL_WORDS = frozenset({"si", "no"})
"""In small letters they are "if" and "not": "responda si tiene dudas", "reply no later than"."""


def answers(draft: Draft) -> Iterator[Fault]:
    """Carriers act on their words before we see them: a patient told to answer CANCEL to a reminder opts out of all texts."""
    cued = {found.start(1) for cue in _CUES for found in cue.finditer(draft.folded)}
    offered = set()
    for found in _WORD.finditer(draft.text):
        loud, word = found[0].isupper(), normalise(found[0])
        if loud or (found.start() in cued and found[0] not in _SMALL_WORDS):
            offered.add(draft.own_words.get(word))
            yield from _answer(draft, word, position=found.start(), unmistakable=loud and found.start() in cued)
    for role in sorted(draft.spec.asks - offered):
        if missing := draft.vocabulary.reply_words.get(role, {}).get(draft.language):
            yield Fault(
                "reply_word_missing", None, f"The text asks for {role!r} but does not offer {missing}.", "warning"
            )


def answers_nobody_gets(draft: Draft) -> Iterator[Fault]:
    """A sender that is a name can not be texted back: who answers it believes to have been heard."""
    if draft.vocabulary.receives:
        return
    asking = _ASKING.search(draft.folded)
    loud = (
        found for found in _WORD.finditer(draft.text) if found[0].isupper() and normalise(found[0]) in draft.own_words
    )
    word = next(loud, None)
    places = [found.start() for found in (asking, word) if found is not None]
    if places:
        place = min(places)
        shown = _WORD.search(draft.text, place)
        message = f"The sender can not receive texts, and {shown[0] if shown else ''!r} asks for an answer. Give {{{{ phone }}}} instead."
        yield Fault("no_replies", place, message)
    elif draft.spec.asks:
        asks = ", ".join(sorted(draft.spec.asks))
        yield Fault(
            "no_replies",
            None,
            f"The sender can not receive texts, and this text is there to ask for {asks}.",
            "warning",
        )


def _answer(draft: Draft, word: str, *, position: int, unmistakable: bool) -> Iterator[Fault]:
    role, shown = draft.own_words.get(word), word.upper()
    if role == "consent" and draft.spec.category != "consent":
        message = f"{shown} is kept for consent: providers take it as an opt-in. Ask with another word."
        yield Fault("yes_outside_consent", position, message)
    elif role and role not in draft.spec.asks:
        yield Fault("reply_word_unasked", position, f"{shown} means {role!r}, which this template does not ask for.")
    elif not role and word in draft.carrier_words:
        message = f"Carriers take {shown} as the end of all texts, so it can never be an answer."
        yield Fault("carrier_word", position, message)
    elif not role and unmistakable:
        yield Fault(
            "reply_word_unknown", position, f"{shown} is no reply word, so nobody would understand that answer."
        )


def numbers_as_answers(draft: Draft) -> Iterator[Fault]:
    if draft.spec.asks & {"digits", "number"}:
        return
    for pattern in (_CHOICE, *_CUES):
        for found in pattern.finditer(draft.folded):
            if found[1].isdigit():
                message = f"The text offers {found[1]} as an answer, but this template does not ask for a number."
                yield Fault("reply_word_unasked", found.start(1), message)
