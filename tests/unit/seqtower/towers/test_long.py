"""Tower of long RNAs: members, padding, letters, gradients, settings."""

from __future__ import annotations

import pytest
import torch

from mirnagraph.errors import ConfigError
from seqtower.towers.base import make_tower
from seqtower.towers.cnn import CnnConfig
from seqtower.towers.long import Long, LongConfig

N_STATES = 5
PATCH = 8
CHANNELS = N_STATES + 4 * PATCH
WIDTHS = (3, 2)


def tower(**settings: object) -> Long:
    torch.manual_seed(0)
    config = LongConfig(**{"letters": PATCH, "filters": 6, "letter_filters": 4, **settings})
    built = make_tower("long", config, CHANNELS, 3, whole=WIDTHS).eval()
    assert isinstance(built, Long)
    return built


def batch(n: int = 4, width: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(width) < torch.tensor([width, width - 2, 3, 1])[:n, None]
    inputs = torch.randn(n, width, CHANNELS) * mask.unsqueeze(-1)
    return inputs, mask, torch.randn(n, sum(WIDTHS))


def test_logits_are_the_mean_of_the_members() -> None:
    model = tower()
    inputs, mask, numbers = batch()
    members = model.member_logits(inputs, mask, None, numbers)
    assert members.shape == (4, 4, 3)
    assert not torch.allclose(members[0], members[1])
    torch.testing.assert_close(members.mean(dim=0), model(inputs, mask, None, numbers))


def test_members_with_types_too() -> None:
    torch.manual_seed(0)
    model = make_tower("long", LongConfig(letters=0), CHANNELS, 3, n_types=2, whole=WIDTHS).eval()
    torch.nn.init.normal_(model.get_submodule("tags.0").weight)  # type: ignore[arg-type]
    inputs, mask, numbers = batch()
    types = torch.tensor([0, 1, 1, 0])
    members = model.member_logits(inputs, mask, types, numbers)
    torch.testing.assert_close(members.mean(dim=0), model(inputs, mask, types, numbers))


def test_padding_and_batch_mates_change_nothing() -> None:
    model = tower()
    inputs, mask, numbers = batch()
    together = model(inputs, mask, None, numbers)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        alone = slice(row, row + 1)
        found = model(inputs[alone, :length], mask[alone, :length], None, numbers[alone])
        torch.testing.assert_close(found[0], together[row], rtol=1e-4, atol=1e-5)


def test_attention_sums_to_one_over_the_positions() -> None:
    model = tower()
    inputs, mask, numbers = batch()
    weights = model.attention(inputs, mask, numbers)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(4, 1))
    assert (weights[:, 0][~mask] == 0).all()


@pytest.mark.parametrize("part", ["states", "letters", "numbers"])
def test_every_part_reaches_the_logits(part: str) -> None:
    model = tower()
    inputs, mask, numbers = batch()
    before = model(inputs, mask, None, numbers)
    if part == "numbers":
        numbers = numbers + 1
    else:
        columns = slice(0, N_STATES) if part == "states" else slice(N_STATES, CHANNELS)
        inputs = inputs.clone()
        inputs[..., columns] += mask.unsqueeze(-1)
    assert not torch.allclose(before, model(inputs, mask, None, numbers))


def test_letters_are_read_in_their_order() -> None:
    """A motif in one patch and across the border of two patches has the same filters' responses."""
    model = tower(filters=1, letter_filters=2)
    model.n_states = 0
    width = 4
    mask = torch.ones(1, width, dtype=torch.bool)
    letters = torch.zeros(1, width * PATCH, 4)
    motif = torch.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]]
    inside = letters.clone()
    inside[0, 8:16] = motif  # the second patch
    across = letters.clone()
    across[0, 12:20] = motif  # the second and the third patch
    # 12 - 8 is a multiple of the stride, so the responses are shifted alone
    first = torch.relu(model.first(inside.transpose(1, 2)))
    second = torch.relu(model.first(across.transpose(1, 2)))
    torch.testing.assert_close(first.amax(dim=2), second.amax(dim=2))
    found = model._letter_token(across.reshape(1, width, PATCH * 4), mask)
    assert found.shape == (4, 1, 32)


def test_numbers_are_needed_and_not_more() -> None:
    model = tower()
    inputs, mask, numbers = batch()
    with pytest.raises(ConfigError, match="numbers of whole RNAs"):
        model(inputs, mask)
    other = make_tower("cnn", CnnConfig(), 4, 2)
    with pytest.raises(ConfigError, match="takes none"):
        other(torch.zeros(1, 5, 4), torch.ones(1, 5, dtype=torch.bool), None, numbers[:1])
    with pytest.raises(ConfigError, match="reads no numbers"):
        make_tower("cnn", CnnConfig(), 4, 2, whole=(3,))


def test_too_few_channels_and_heads_that_do_not_divide() -> None:
    with pytest.raises(ConfigError, match="letters"):
        make_tower("long", LongConfig(letters=64), 100, 2)
    with pytest.raises(ConfigError, match="heads"):
        LongConfig(heads=5)


def test_training_hides_a_share_of_the_tokens_and_never_all() -> None:
    model = tower(token_dropout=0.3)
    assert model._shown(5, 4, torch.device("cpu")).all()
    model.train()
    torch.manual_seed(2)
    shown = model._shown(20_000, 4, torch.device("cpu"))
    assert shown.any(dim=1).all()
    # a share of .3 is hidden, but for the RNAs of which all four would be: .3 ** 4 keep one
    assert float((~shown).float().mean()) == pytest.approx(0.3 - 0.3**4 / 4, abs=0.01)
    assert tower(token_dropout=0.0).train()._shown(9, 4, torch.device("cpu")).all()
