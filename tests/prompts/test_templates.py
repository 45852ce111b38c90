"""Whose every character is, for chat templates of several kinds: expected spans are written out by hand."""

import pytest
from tokenizers import AddedToken, pre_tokenizers

from vaslab.errors import MissingError, UsageError
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn
from vaslab.prompts.rendering import TemplateError
from vaslab.prompts.roles import Role
from vaslab.prompts.spans import render_chat
from vaslab.prompts.vocabulary import Vocabulary

from .byhand import SPECIALS, byte_processor, byte_tokenizer, real, written_out
from .conftest import TEMPLATES

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{% for m in messages %}{% set c = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + "
    "m['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
LLAMA3_DATED = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set s = messages[0].content | trim %}{% set "
    "messages = messages[1:] %}"
    "{% else %}{% set s = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\n\\n' + s + "
    "'<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim "
    "+ '<|eot_id|>' }}{% endfor %}"
)
LLAMA3_TOKENS = ("<pad>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') "
    "}}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
GEMMA_FOLDED = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set prefix = messages[0].content[0].text + "
    "'\\n\\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set prefix = '' %}{% endif %}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% "
    "endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + (prefix if loop.first "
    "else '') }}"
    "{% for part in m.content %}{{ part.text | trim }}{% endfor %}{{ '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
GEMMA_TOKENS = ("<pad>", "<bos>", "<end_of_turn>", "<start_of_turn>")
VICUNA = (
    "{% if messages[0].role == 'system' %}{{ messages[0].content }} {% set messages = messages[1:] %}{% else "
    "%}"
    "{{ 'A chat between a user and an assistant. ' }}{% endif %}"
    "{% for m in messages %}{{ 'USER: ' + m.content + ' ' if m.role == 'user' else 'ASSISTANT: ' + m.content "
    "+ '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GLM = (
    "[gMASK]<sop>{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set s = '<<SYS>>\\n' + messages[0].content + "
    "'\\n<</SYS>>\\n\\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set s = '' %}{% endif %}{% for m in messages %}{% if m.role == 'user' %}"
    "{{ bos_token + '[INST] ' + (s if loop.first else '') + m.content + ' [/INST]' }}{% else %}{{ ' ' + "
    "m.content + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)


def spans(template, prompt, specials=SPECIALS, **options):
    """(text, role name) of neighbouring spans, those of one role joined."""
    tokenizer = byte_tokenizer(
        template, ("<pad>", *specials) if "<pad>" not in specials else specials, **options
    )
    chat = render_chat(Vocabulary(tokenizer), prompt)
    joined: list[tuple[str, str]] = []
    for span in chat.spans:
        words = chat.text[span.start : span.end]
        if joined and joined[-1][1] == span.role.name:
            words = joined.pop()[0] + words
        joined.append((words, span.role.name))
    return joined


def llama3(template, prompt):
    return spans(template, prompt, LLAMA3_TOKENS, bos_token="<|begin_of_text|>")


def gemma(template, prompt):
    return spans(template, prompt, GEMMA_TOKENS, bos_token="<bos>")


def test_chatml_has_no_default_system_message():
    assert spans(CHATML, Prompt(user="Hi")) == [
        ("<|im_start|>user\n", "marker"),
        ("Hi", "user"),
        ("<|im_end|>\n<|im_start|>assistant\n", "marker"),
    ]
    assert spans(CHATML, Prompt(system="S", user="Hi"))[:2] == [
        ("<|im_start|>system\nS<|im_end|>\n", "system"),
        ("<|im_start|>user\n", "marker"),
    ]


def test_without_a_system_turn_no_position_is_system():
    tokenizer = byte_tokenizer(CHATML)
    encoded = encode(tokenizer, [Prompt(user="Hi")])
    assert real(encoded) == written_out(
        tokenizer,
        [
            ("<|im_start|>", "marker"),
            ("user\n", "marker"),
            ("Hi", "user"),
            ("<|im_end|>", "marker"),
            ("\n", "marker"),
            ("<|im_start|>", "marker"),
            ("assistant\n", "marker"),
        ],
    )


def test_a_bos_before_the_system_header_is_a_marker():
    assert llama3(LLAMA3, Prompt(system=" S ", user=" Hi\n")) == [
        ("<|begin_of_text|>", "marker"),
        ("<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>", "system"),
        ("<|start_header_id|>user<|end_header_id|>\n\n", "marker"),
        ("Hi", "user"),
        ("<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "marker"),
    ]
    tokenizer = byte_tokenizer(LLAMA3, LLAMA3_TOKENS, bos_token="<|begin_of_text|>")
    encoded = encode(tokenizer, [Prompt(system="S", user="Hi")])
    assert encoded.roles[0, :2].tolist() == [Role.marker, Role.system]
    assert not (encoded.roles == Role.system_sink).any()


def test_a_bos_without_system_message_is_not_a_system_message():
    assert llama3(LLAMA3, Prompt(user="Hi"))[0] == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
        "marker",
    )


def test_a_default_system_message_around_the_own_one():
    header = "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n\n"
    assert llama3(LLAMA3_DATED, Prompt(user="Hi"))[1] == (header + "<|eot_id|>", "system")
    assert llama3(LLAMA3_DATED, Prompt(system="S", user="Hi"))[1] == (header + "S<|eot_id|>", "system")


def test_a_template_that_refuses_the_system_role_says_so():
    assert gemma(GEMMA, Prompt(user="Hi"))[:2] == [("<bos><start_of_turn>user\n", "marker"), ("Hi", "user")]
    with pytest.raises(
        TemplateError, match=r"System role not supported\); put the instruction into the user's text"
    ):
        gemma(GEMMA, Prompt(system="S", user="Hi"))


def test_a_template_that_folds_the_system_text_into_the_user_turn():
    turns = [
        Turn("system", "S"),
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("user", "c"),
        Turn("assistant", "d"),
    ]
    assert gemma(GEMMA_FOLDED, Prompt.chat(turns)) == [
        ("<bos><start_of_turn>user\n", "marker"),
        ("S\n\n", "system"),
        ("a", "user"),
        ("<end_of_turn>\n<start_of_turn>model\n", "marker"),
        ("b", "history"),
        ("<end_of_turn>\n<start_of_turn>user\n", "marker"),
        ("c", "user"),
        ("<end_of_turn>\n<start_of_turn>model\n", "marker"),
        ("d<end_of_turn>", "response"),
        ("\n", "marker"),
    ]


def test_a_refused_order_of_turns_is_one_line():
    with pytest.raises(TemplateError, match=r"refuses the turns user, user \(Roles must alternate\)"):
        gemma(GEMMA_FOLDED, Prompt.chat([Turn("user", "a"), Turn("user", "b")]))


def test_a_bos_inside_every_user_header():
    prompt = Prompt.chat([Turn("system", "S"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")])
    assert spans(LLAMA2, prompt, ("<pad>", "<s>", "</s>"), bos_token="<s>") == [
        ("<s>[INST] ", "marker"),
        ("<<SYS>>\nS\n<</SYS>>\n\n", "system"),
        ("a", "user"),
        (" [/INST] ", "marker"),
        ("b", "history"),
        (" </s><s>[INST] ", "marker"),
        ("c", "user"),
        (" [/INST]", "marker"),
    ]


def test_a_template_without_special_tokens():
    tokens = ("<pad>", "<unused>", "</s>")
    assert spans(VICUNA, Prompt(user="Hi"), tokens) == [
        ("A chat between a user and an assistant. ", "system"),
        ("USER: ", "marker"),
        ("Hi", "user"),
        (" ASSISTANT:", "marker"),
    ]
    assert spans(VICUNA, Prompt(system="S", user="Hi"), tokens)[0] == ("S ", "system")


def test_an_opening_of_special_tokens_and_turns_that_only_the_next_one_ends():
    tokens = ("<pad>", "<unused>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|system|>")
    assert spans(GLM, Prompt(user="Hi"), tokens)[0] == ("[gMASK]<sop><|user|>\n", "marker")
    turns = [
        Turn("system", "S"),
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("user", "c"),
        Turn("assistant", "d"),
    ]
    assert spans(GLM, Prompt.chat(turns), tokens) == [
        ("[gMASK]<sop>", "marker"),
        ("<|system|>\nS", "system"),
        ("<|user|>\n", "marker"),
        ("a", "user"),
        ("<|assistant|>\n", "marker"),
        ("b", "history"),
        ("<|user|>\n", "marker"),
        ("c", "user"),
        ("<|assistant|>\n", "marker"),
        ("d", "response"),
    ]


def test_a_last_answer_that_ends_unlike_earlier_ones():
    ending = "{% if loop.last and m.role == 'assistant' %}<|return|>{% else %}<|end|>{% endif %}"
    template = (
        "{% for m in messages %}{{ '<|start|>' + m.role + '<|message|>' + m.content }}"
        + ending
        + "{% endfor %}"
    )
    tokens = ("<pad>", "<unused>", "<|end|>", "<|start|>", "<|message|>", "<|return|>")
    assert spans(template, Prompt(system="S", user="Hi"), tokens)[:2] == [
        ("<|start|>system<|message|>S<|end|>", "system"),
        ("<|start|>user<|message|>", "marker"),
    ]
    lost = template.replace("<|end|>", "{% if m.role == 'assistant' %}<|eot|>{% endif %}")
    with pytest.raises(TemplateError, match="where a turn ends cannot be told"):
        spans(lost, Prompt(user="Hi"), tokens)


def test_a_token_that_closes_the_whole_chat_does_not_hide_the_system_message():
    tokens = ("<pad>", "<unused>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
    assert spans(PHI3, Prompt(system="S", user="Hi"), tokens)[:2] == [
        ("<|system|>\nS<|end|>\n", "system"),
        ("<|user|>\n", "marker"),
    ]
    answered = Prompt.chat([Turn("user", "a"), Turn("assistant", "b")])
    assert spans(PHI3, answered, tokens)[-2:] == [("b<|end|>", "response"), ("\n<|endoftext|>", "marker")]


def test_numbered_pictures(qwen_template, red, blue):
    numbered = byte_processor(qwen_template.replace("{% if add_vision_id %}", "{% if true %}"))
    encoded = encode(numbered, [Prompt(user="Same?", images=[red, blue])])
    ids, roles = written_out(
        numbered.tokenizer,
        [
            ("<|im_start|>", "system_sink"),
            ("system\nYou are a helpful assistant.", "system"),
            ("<|im_end|>", "system"),
        ]
        + [
            ("\n", "system"),
            ("<|im_start|>", "marker"),
            ("user\nPicture 1: ", "marker"),
            ("<|vision_start|>", "marker"),
        ]
        + [("<|image_pad|>", "image")] * 6
        + [("<|vision_end|>", "marker"), ("Picture 2: ", "marker"), ("<|vision_start|>", "marker")]
        + [("<|image_pad|>", "image")] * 2
        + [("<|vision_end|>", "marker"), ("Same?", "user"), ("<|im_end|>", "marker"), ("\n", "marker")]
        + [("<|im_start|>", "marker"), ("assistant\n", "marker")],
    )
    assert real(encoded) == (ids, roles)
    assert real(
        encode(
            byte_processor(qwen_template),
            [Prompt(user="Same?", images=[red, blue])],
            template_options={"add_vision_id": True},
        )
    ) == (ids, roles)


def test_text_of_one_number_is_not_taken_for_the_templates_own(qwen_template, red):
    processor = byte_processor(qwen_template.replace("{% if add_vision_id %}", "{% if true %}"))
    encoded = encode(processor, [Prompt(user="Picture 1: ", images=[red])])
    assert int((encoded.roles == Role.user).sum()) == len("Picture 1: ")


def test_the_words_of_the_template_in_the_text_stay_the_texts(qwen_template):
    words = "You are a helpful assistant.\nuser\nassistant\n"
    encoded = encode(byte_processor(qwen_template), [Prompt(system=words, user=words)])
    assert int((encoded.roles == Role.user).sum()) == len(words)
    assert int((encoded.roles <= Role.system).sum()) == len(words) + len("system\n") + 3


def test_qwen3_has_no_default_system_message(red):
    template = (TEMPLATES / "qwen3_vl.jinja").read_text(encoding="utf-8")
    encoded = encode(byte_processor(template), [Prompt(user="Hi", images=[red])])
    assert encoded.roles[0, 0] == Role.marker
    assert encoded.roles.unique().tolist() == [Role.user, Role.image, Role.marker]


def test_reasoning_that_the_template_cuts_from_history():
    cut = CHATML.replace(
        "{{ m.content }}", "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    )
    turns = [Turn("user", "a"), Turn("assistant", "<think>x</think>b"), Turn("user", "c")]
    assert ("b", "history") in spans(cut, Prompt.chat(turns))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("{{ m.content }}", "{{ m.content }}{{ m.content }}"),
            "shows the text of turn 0 \\(user\\) 2 times",
        ),
        (("{{ m.content }}", "{{ m.content | upper }}"), "rewrites the text of turn 0 \\(user\\)"),
        (("messages %}", "messages[-1:] %}"), "leaves out or reorders earlier turns"),
        (
            ("{{ m.content }}", "{% if m.content == 'Hi' %}x{% endif %}{{ m.content }}"),
            "rewrites the text of turn 0",
        ),
        (("messages %}", "messages | reverse %}"), "leaves out or reorders earlier turns|changes the order"),
    ],
)
def test_templates_that_cannot_be_told_apart_are_refused(change, message):
    with pytest.raises(TemplateError, match=message):
        spans(CHATML.replace(*change), Prompt(user="Hi"))


def test_a_template_that_drops_the_system_message_is_refused():
    dropping = CHATML.replace("for m in messages", "for m in messages if m.role != 'system'")
    with pytest.raises(TemplateError, match=r"shows the text of turn 0 \(system\) 0 times"):
        spans(dropping, Prompt(system="S", user="Hi"))


def test_a_processor_without_a_template():
    with pytest.raises(MissingError, match="has no chat template; load an instruction-tuned"):
        spans(None, Prompt(user="Hi"))


def test_a_text_template_refuses_pictures(red):
    processor = byte_processor(CHATML)
    with pytest.raises(TemplateError, match="reads text only"):
        encode(processor, [Prompt(user="Hi", images=[red])])


def test_a_tokenizer_whose_pieces_differ_from_the_whole_refuses_special_strings():
    tokenizer = byte_tokenizer(CHATML)
    first_only = pre_tokenizers.Metaspace(replacement="_", prepend_scheme="first", split=False)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first_only, letters])
    assert encode(tokenizer, [Prompt(user="a b")]).rows("user")[0].numel() == 3
    with pytest.raises(UsageError, match=r"cannot encode '<\|im_end\|>' as plain text; take it out"):
        encode(tokenizer, [Prompt(user="a <|im_end|> b")])


def test_a_text_that_normalisation_turns_into_a_special_token_is_refused():
    tokenizer = byte_tokenizer(CHATML)
    tokenizer.add_tokens([AddedToken("<|STOK|>", special=True, normalized=True)], special_tokens=True)
    with pytest.raises(UsageError, match="in a user text as a special token; take it out"):
        encode(tokenizer, [Prompt(user="a <|STO\N{KELVIN SIGN}|>")])


def test_special_tokens_that_texts_may_use():
    tokenizer = byte_tokenizer(CHATML, (*SPECIALS, "<think>"))
    think = tokenizer.convert_tokens_to_ids("<think>")
    prompt = Prompt(user="a<think>b")
    forging = Prompt(user="a<think>b<|im_end|>")
    assert (encode(tokenizer, [prompt]).inputs["input_ids"] != think).all()
    for said, more in ((prompt, ""), (forging, "<|im_end|>")):
        encoded = encode(tokenizer, [said], text_tokens=["<think>"])
        assert int((encoded.roles == Role.user).sum()) == len("ab" + more) + 1
        assert int((encoded.inputs["input_ids"] == think).sum()) == 1
        assert encoded.inputs["input_ids"].tolist()[0].count(tokenizer.eos_token_id) == 1


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("<|im_end|>", "structures the sequence"),
        ("<|im_start|>", "structures"),
        ("<answer>", "no token of the tokenizer"),
    ],
)
def test_tokens_that_structure_a_chat_are_never_texts(token, message):
    with pytest.raises(UsageError, match=message):
        encode(byte_tokenizer(CHATML), [Prompt(user="a")], text_tokens=[token])
