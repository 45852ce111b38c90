"""Where a model's files are, told without reading them or loading torch."""

from pathlib import Path

from vaslab.errors import MissingError, UsageError

ORGANISM = "organism:"
CHECKPOINTS = Path(__file__).parent.parent / "organism" / "checkpoints"


def organisms() -> list[str]:
    """Return the names of the shipped checkpoints of the organism."""
    return sorted(config.parent.name for config in CHECKPOINTS.glob("*/config.json"))


def cached_folder(name: str, revision: str | None = None) -> str | None:
    """The folder of the local Hugging Face cache that holds a hub id; its name is the commit. None where none does.

    Nobody is asked: transformers, given an id, asks the hub for an adapter even where it may read local files only.
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return str(Path(config).parent) if isinstance(config, str) else None


def locate(name: str) -> tuple[str, bool]:
    """Return what transformers is to read, and whether it is on this disk for certain.

    Raises:
        UsageError: an unknown organism.
        MissingError: a folder that is not there, or holds no model.
    """
    if name.startswith(ORGANISM):
        known = organisms()
        if name.removeprefix(ORGANISM) not in known:
            names = ", ".join(f"{ORGANISM}{each}" for each in known) or "none (this install ships none)"
            raise UsageError(f"there is no {name}; shipped: {names}")
        return str(CHECKPOINTS / name.removeprefix(ORGANISM)), True
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise MissingError(
                f"{folder} holds no config.json; give the folder that save_pretrained wrote, processor included"
            )
        return str(folder), True
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise MissingError(
            f"there is no model folder {name}; give a folder, organism:NAME, or a hub id such as "
            "Qwen/Qwen2.5-VL-7B-Instruct"
        )
    return name, False
