"""A run that is cut off while it trains, and one that is not."""


def cut_at(monkeypatch, owner, name, call):
    """Interrupt the run at the so-many-th call of a method; the calls made are counted in the list returned."""
    calls, original = [], getattr(owner, name)

    def counted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


def same_weights(one, other):
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
