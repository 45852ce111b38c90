import shutil

import pytest
from PIL import Image

from vaslab.cli.app import app
from vaslab.cli.exits import run

NO_SYSTEM = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """Folder of a random Qwen2.5-VL of two layers."""
    return str(tiny_folder)


@pytest.fixture(scope="session")
def no_system(tiny_folder, tmp_path_factory):
    """The same with a template that has no system turn."""
    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("model") / "no-system")
    (folder / "chat_template.jinja").write_text(NO_SYSTEM)
    return str(folder)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (80, 64), "teal").save(path)
    return str(path)


@pytest.fixture
def vaslab(capfd):
    """Call the command line in this process: exit code, stdout, stderr."""

    def call(*words):
        capfd.readouterr()
        code = run(app, [str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def a_run(tiny, tmp_path_factory):
    """A finished run of six glyph items."""
    out = tmp_path_factory.mktemp("runs") / "six"
    words = ["measure", "-m", tiny, "-d", "glyph", "-n", "6", "-o", str(out), "--max-new-tokens", "3"]
    assert run(app, words) == 0
    return out
