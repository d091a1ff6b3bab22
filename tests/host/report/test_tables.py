from dataclasses import replace

import msgspec
import pytest

from hytnas_host.report.tables import EXTRAPOLATED_WORDS, pick_cards


@pytest.mark.parametrize("extrapolated", [False, True])
def test_a_pick_that_is_predicted_outside_the_range_of_training_says_so(synthetic, extrapolated):
    data = synthetic.full_report()
    picked = data.search.picks[0].architecture
    front = tuple(
        msgspec.structs.replace(member, extrapolated=extrapolated and member.architecture == picked)
        for member in data.search.front
    )
    cards = pick_cards(replace(data, search=msgspec.structs.replace(data.search, front=front)))
    marked = {card.label for card in cards if EXTRAPOLATED_WORDS in card.warning}
    assert marked == ({data.search.picks[0].label} if extrapolated else set())
