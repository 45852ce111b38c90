import pytest
import torch

from vaslab.attention import Edit, Request
from vaslab.errors import UsageError

GROUPS = torch.tensor([[-1, 0, 0, 1, 2]])


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_groups": 2}, "expected -1 \\(no group\\) to 1"),
        ({"n_groups": 0}, "n_groups is 0"),
        ({"groups": torch.tensor([[0, -2]])}, "holds -2 to 0"),
        ({"groups": torch.tensor([0, 1])}, "expected integers \\(batch, key\\)"),
        ({"groups": torch.tensor([[0.0, 1.0]])}, "torch.float32 of shape"),
        ({"rows": torch.tensor([[-2]])}, "an empty slot"),
        ({"rows": torch.tensor([[5]])}, "position 5, Request.groups covers 5"),
        ({"rows": torch.tensor([[1], [2]])}, "Request.rows has 2 items, Request.groups 1"),
        ({"rows": torch.tensor([True])}, "expected integers \\(batch, row\\)"),
        ({"route": "fast"}, "expected 'auto', 'rows' or 'columns'"),
        ({"route": "columns", "exact_logits": True}, "drop one of the two"),
        ({"chunk": 0}, "at least 1 row"),
        ({"new_group": 3}, "Request.new_group is 3"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_at_construction(options, message):
    with pytest.raises(UsageError, match=message):
        Request(**{"groups": GROUPS, "n_groups": 3, **options})


def edit(**options):
    given = {
        "groups": GROUPS,
        "factor": torch.ones(2, 4, 3),
        "queries": torch.ones(1, 5, dtype=torch.bool),
        "kind": "logit",
    }
    return Edit(**{**given, **options})


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "logits"}, "expected 'logit' or 'prob'"),
        ({"factor": torch.full((2, 4, 3), -0.5)}, "negative or non-finite"),
        ({"factor": torch.full((2, 4, 3), float("nan"))}, "negative or non-finite"),
        ({"factor": torch.ones(4, 3)}, "expected floats \\(layer, head, group\\)"),
        ({"factor": torch.ones(2, 4, 2)}, "Edit.groups holds -1 to 2"),
        ({"queries": torch.ones(1, 5)}, "expected bool \\(batch, query\\)"),
        ({"queries": torch.ones(2, 5, dtype=torch.bool)}, "Edit.queries has 2 items, Edit.groups 1"),
        ({"new_group": 7}, "Edit.new_group is 7"),
        ({"new_queries": torch.tensor([True, False])}, "Edit.new_queries has 2 items, Edit.queries 1"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused_at_construction(options, message):
    with pytest.raises(UsageError, match=message):
        edit(**options)


def test_an_edit_of_another_batch_is_refused():
    with pytest.raises(UsageError, match=r"Edit.groups has 1 items, Request.groups 2"):
        Request(GROUPS.expand(2, -1), 3, edit=edit())


def test_positions_past_the_labels_take_the_new_group_or_are_refused():
    with pytest.raises(UsageError, match=r"covers 5 positions, the attention sees 7 keys.*Request.new_group"):
        Request(GROUPS, 3).key_groups(7)
    assert Request(GROUPS, 3, new_group=2).key_groups(7).tolist() == [[-1, 0, 0, 1, 2, 2, 2]]
    assert Request(GROUPS, 3).key_groups(4).tolist() == [[-1, 0, 0, 1]]


def test_queries_past_the_edit_follow_new_queries():
    assert edit().edited_queries(7).tolist() == [[True] * 5 + [False] * 2]
    assert edit(new_queries=True).edited_queries(7).tolist() == [[True] * 7]
    two = {"groups": GROUPS.expand(2, -1), "queries": torch.zeros(2, 5, dtype=torch.bool)}
    of_each = edit(**two, new_queries=torch.tensor([True, False]))
    assert of_each.edited_queries(7).tolist() == [[False] * 5 + [True] * 2, [False] * 7]


def test_few_rows_go_beside_the_kernel_and_many_into_it():
    auto = Request(GROUPS, 3)
    for n_keys in (512, 2048, 4096, 32768):
        assert auto.chosen_route(1, n_keys) == "rows"
        assert auto.chosen_route(n_keys // 4, n_keys) == "columns"
        assert auto.chosen_route(n_keys, n_keys) == "columns"
        assert Request(GROUPS, 3, exact_logits=True).chosen_route(n_keys, n_keys) == "rows"
        assert Request(GROUPS, 3, route="rows").chosen_route(n_keys, n_keys) == "rows"
        assert Request(GROUPS, 3, route="columns").chosen_route(1, n_keys) == "columns"


def test_more_groups_than_a_fused_kernel_can_carry_go_beside_it():
    assert Request(GROUPS, 1000).chosen_route(4096, 4096) == "rows"
