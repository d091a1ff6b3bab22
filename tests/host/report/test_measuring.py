"""What labels rest on, in words: which lines there are, what they say, and for which device."""

import msgspec

from hytnas_host.report.measuring import quality_table


def names(table) -> list[str]:
    return [row.name.partition(":")[0] for row in table.rows]


def test_each_device_and_each_verification_has_a_column(synthetic):
    other = msgspec.structs.replace(synthetic.QUALITY, device_id="other", name="", labels=7)
    afresh = msgspec.structs.replace(synthetic.QUALITY, afresh=True, labels=24)
    table = quality_table((synthetic.QUALITY, other, afresh))
    assert table.columns == ("board", "other", "board, verification")
    assert table.rows[0].counts == ("80", "7", "24")


def test_lines_asked_for_are_there_even_at_none_and_the_rest_is_in_the_note(synthetic):
    fields = {"unverified": 0, "disturbed": 0, "unstable": 0, "invalid": 0, "retried": 0, "valid": 80}
    table = quality_table((msgspec.structs.replace(synthetic.QUALITY, reasons={}, absent=(), **fields),))
    assert names(table) == [
        "Labels with a latency",
        "VALID",
        "VALID_UNVERIFIED",
        "disturbed, as too few undisturbed processes could be had",
        "Labels that are UNSTABLE",
        "Timed processes that went well",
        "INVALID",
        "discarded for a drift of the canary, and measured again",
    ]
    assert not [row.name for row in table.rows if row.warning]
    for words in ("not judged", "fixed number", "lasting change", "discarded processes", "measured again"):
        assert words in table.note


def test_every_bad_count_is_marked_and_explained(synthetic):
    fields = {"not_judged": 1, "former_speed": 2, "stale": 3, "speed_changes": 1, "untargeted": 4}
    fields["unsteady"] = 5
    table = quality_table((msgspec.structs.replace(synthetic.QUALITY, **fields),))
    bad = {row.name: row.meaning for row in table.rows if row.warning}
    assert len(bad) == 6
    assert all(bad.values())
    assert table.note == ""


def test_only_the_commonest_reasons_are_named(synthetic):
    first = msgspec.structs.replace(synthetic.QUALITY, reasons={"swap": 1, "steal": 4, "heat": 2})
    second = msgspec.structs.replace(first, device_id="other", reasons={"heat": 3, "clock": 1, "supply": 2})
    (row,) = (row for row in quality_table((first, second)).rows if row.name.startswith("INVALID:"))
    assert row.meaning == "Commonest: heat (5); steal (4); supply (2); 2\u00a0other reasons."


def test_where_nothing_was_measured_there_is_no_table():
    assert quality_table(()) is None
