"""Writes chat_expected.json: templates and conversations, and what Transformers renders from them.

    python make_chat_expected.py    (transformers 5, jinja2 3.1)

The templates are written for this test: each does what a common family of chat templates does. Cases that must
fail say so: "raises" with the template's own message, or "fails". strftime_now gives a fixed day.
"""

import json
import pathlib
from datetime import datetime

import jinja2
from transformers.utils import chat_template_utils

from chat_cases import EXPRESSIONS, FAILURES, SNIPPETS
from chat_styles import CONVERSATIONS, STYLES

DATE = "2024-07-26 13:05:09"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


class FixedDay(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(DATE)


def render(template, messages, generation):
    rendered, _ = chat_template_utils.render_jinja_template(
        conversations=[messages], chat_template=template, add_generation_prompt=generation, **TOKENS
    )
    return rendered[0]


def outcome(template, messages, generation):
    try:
        text = render(template, messages, generation)
        text.encode("utf-8")
        return {"text": text}
    except Exception as error:  # whatever Python raises, the template has no text
        if type(error) is jinja2.exceptions.TemplateError:
            return {"raises": str(error)}
        return {"fails": type(error).__name__}


def main():
    chat_template_utils.datetime = FixedDay
    styles = [
        {
            "name": name,
            "template": template,
            "outcomes": [
                {"conversation": key, "generation": generation, **outcome(template, messages, generation)}
                for key, messages in CONVERSATIONS.items()
                for generation in (False, True)
            ],
        }
        for name, template in STYLES.items()
    ]
    messages = CONVERSATIONS["turns"]
    small = [{"template": "{{ " + each + " }}"} for each in EXPRESSIONS]
    small += [{"template": each} for each in SNIPPETS + FAILURES]
    for case in small:
        case.update(outcome(case["template"], messages, True))
    for case in small[len(small) - len(FAILURES) :]:
        assert "text" not in case, case
    document = {
        "date": DATE,
        "tokens": TOKENS,
        "conversations": CONVERSATIONS,
        "styles": styles,
        "cases": small,
    }
    path = pathlib.Path(__file__).parent / "chat_expected.json"
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    failed = [each for each in small if "text" not in each]
    print(f"{len(styles)} styles, {len(small)} cases, of which {len(failed)} fail; {path.stat().st_size} bytes")


main()
