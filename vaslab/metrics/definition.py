"""What is meant by VAS: over which queries, which masses, divided where. No VAS is printed without one of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vaslab.errors import UsageError
from vaslab.metrics.selection import QUERY_WORDS, system_roles

FORMS = ("mean_of_ratios", "ratio_of_means")


@dataclass(frozen=True)
class Definition:
    """One definition of VAS (arXiv 2603.03825); the defaults are the paper's.

    Args:
        queries: the query set U, as a capture names it ("user", "user_after_image", "response").
        form: "mean_of_ratios" (the paper; heavy-tailed): the ratio at each query, averaged over queries, then over the
            axes asked for; or "ratio_of_means": both masses averaged over all of these, then divided once.
        sink: "include" (the paper) or "exclude" the first real position from S.
        per_token: divide each mass by its number of keys in the item: attention on the average image token over
            attention on the average system token. The floor is on the mass, before that division.

    Raises:
        UsageError: an unknown form or sink. A capture tells, when it is read, whether it holds the queries.
    """

    queries: str = "user"
    form: str = "mean_of_ratios"
    sink: str = "include"
    per_token: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"unknown form {self.form!r} of VAS; expected one of {', '.join(FORMS)}")
        system_roles(self.sink)

    @classmethod
    def of(cls, attrs: Mapping[Any, Any]) -> Definition:
        """The definition that the attributes of a VAS name (see `vaslab.metrics.vas`)."""
        given = {field.name: attrs[field.name] for field in fields(cls)}
        return cls(**given | {"per_token": bool(attrs["per_token"])})

    @property
    def other_form(self) -> Definition:
        """The same in the other of the two forms."""
        return replace(self, form=next(form for form in FORMS if form != self.form))

    @property
    def form_words(self) -> str:
        """The form as titles and subtitles name it: mean of ratios, without the first token, per token."""
        sink = ", without the first token" if self.sink == "exclude" else ""
        return self.form.replace("_", " ") + sink + (", per token" if self.per_token else "")

    @property
    def name(self) -> str:
        """VAS as titles and sentences name it, never without its form: VAS (ratio of means)."""
        return f"VAS ({self.form_words})"

    @property
    def query_words(self) -> str:
        """The query set as figures and tables name it."""
        return QUERY_WORDS.get(self.queries, self.queries)

    @property
    def formula(self) -> str:
        """What is divided, for the line of a figure that defines VAS."""
        system = "system tokens" if self.sink == "include" else "system tokens without the first"
        each = ", each divided by its number of tokens" if self.per_token else ""
        return f"VAS = attention on image tokens ÷ attention on {system}{each}"


PAPER = Definition()
"""The paper's own definition."""
