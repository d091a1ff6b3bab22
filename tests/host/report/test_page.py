"""The page: well-formed, self-contained, safe against hostile names, deterministic, honest about gaps."""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest
from markupsafe import Markup

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report import build_report
from hytnas_host.report.data import StageTime
from hytnas_host.report.figures import describe_figures, describe_overview
from hytnas_host.report.page import DrawnFigure
from hytnas_host.report.tables import pick_cards
from hytnas_host.report.theme import DARK, LIGHT
from hytnas_host.search.objectives import parse_objectives
from hytnas_host.search.picks import pick as pick_from

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Checker(HTMLParser):
    """Fails on tags that are not closed in order; keeps ids, text and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids.update(value for name, value in attrs if name == "id")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def check(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def words_only(monkeypatch):
    """Figures are drawn in one width and not turned into SVG, which takes most of a page's time."""

    def draw(spec):
        drawing = spec.draw(spec.sizes[0])
        return DrawnFigure(spec, Markup(f'<svg data-figure="{spec.key}"></svg>'), Markup(), {}, drawing, None)

    monkeypatch.setattr("hytnas_host.report.page._draw", draw)


def test_the_full_page_is_well_formed_and_its_ids_are_unique(full_page):
    checker = check(full_page)
    assert [name for name, count in checker.ids.items() if count > 1] == []
    assert checker.tags["h1"] == 1
    assert checker.tags["svg"] == 2 * 15, "every figure in two widths"


def test_every_reference_inside_a_figure_finds_its_own_figure(full_page):
    checker = check(full_page)
    references = {value[1:] for _, name, value in checker.attributes if name == "href" and value[:1] == "#"}
    references |= set(re.findall(r"url\(#([^)]+)\)", full_page))
    assert references - set(checker.ids) == set()
    for svg in re.findall(r"<svg.*?</svg>", full_page, re.DOTALL):
        key = re.search(r'data-figure="([^"]+)"', svg)[1]
        inside = re.findall(r'(?: id="|href="#|url\(#)([^")]+)', svg)
        assert inside
        assert all(name.startswith(f"{key}-") for name in inside)


def test_nothing_is_loaded_from_elsewhere(full_page):
    checker = check(full_page)
    assert "http:" not in full_page
    assert "https:" not in full_page
    assert "@import" not in full_page
    assert "url(" not in full_page.replace("url(#", "")
    loaded = [
        v for tag, name, v in checker.attributes if name in {"src", "href"} and tag != "a" and v[:1] != "#"
    ]
    assert loaded == ["data:,"], "only the empty favicon, so that a browser asks for none"


def test_figures_take_all_their_colours_from_the_page(full_page):
    for svg in re.findall(r"<svg.*?</svg>", full_page, re.DOTALL):
        assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT), (
        "each colour must be told from the others to become its variable"
    )


def relative_luminance(colour: str) -> float:
    """After WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    "text", ["ink", "muted", "blue", "orange", "latency", "tradeoff", "accuracy", "warn"]
)
@pytest.mark.parametrize("ground", ["page", "surface"])
def test_text_has_the_contrast_that_wcag_asks_for(palette, text, ground):
    lighter, darker = sorted(
        (relative_luminance(palette[text]), relative_luminance(palette[ground])), reverse=True
    )
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_equal_data_give_equal_bytes(synthetic, full_page):
    assert build_report(synthetic.full_report()) == full_page


def test_every_mark_has_its_tooltip(full_page):
    store = json.loads(re.search(r'id="report-points">(.*?)</script>', full_page, re.DOTALL)[1])
    for svg in re.findall(r"<svg.*?</svg>", full_page, re.DOTALL):
        key = re.search(r'data-figure="([^"]+)"', svg)[1].removesuffix("-narrow")
        assert store["figures"][key].keys() == set(re.findall(r'data-s="([^"]+)"', svg))
        marks = len(re.findall(r"data-p=", svg))
        assert marks == sum(map(len, store["figures"][key].values()))


def test_the_picks_say_what_was_measured_and_what_is_predicted(synthetic, full_page):
    data = synthetic.full_report()
    words = check(full_page).words()
    for pick in data.search.picks:
        measured = data.verified()[pick.architecture].measured_ms
        assert f"{measured:.3g}" in words
        assert pick.architecture in words
    assert "short training on scikit-learn digits" in words
    assert "not told from chance" in words


def test_hostile_names_stay_text(synthetic):
    text = "</script><script>alert(1)</script><img src=x>\"'&<b>{{ 7 * 7 }}"
    page = build_report(synthetic.hostile_report(text))
    checker = check(page)
    assert checker.tags["script"] == 2
    assert checker.tags["img"] == 0
    assert checker.tags["b"] == 0
    assert text in "".join(checker.text)
    json.loads(re.search(r'id="report-points">(.*?)</script>', page, re.DOTALL)[1])


def test_an_empty_study_names_the_commands_and_draws_nothing(synthetic):
    page = build_report(synthetic.empty_report())
    checker = check(page)
    assert checker.tags["svg"] == 0
    for command in ("collect latency", "collect accuracy", "leaderboard", "search", "verify", "run"):
        assert f"hytnas-profile {command}" in checker.words()


def test_a_stage_says_what_there_was_no_time_for(synthetic, words_only):
    stages = (StageTime("collect latency", 210.0, "done", "3 of 40 networks were not measured"),)
    words = check(build_report(replace(synthetic.full_report(), stages=stages))).words()
    assert "done; 3 of 40 networks were not measured" in words


GAPS = {
    "no search": ({"search": None}, ["hytnas-profile search"]),
    "no predictors": (
        {"leaderboards": (), "verification": None},
        ["hytnas-profile leaderboard", "hytnas-profile verify"],
    ),
    "no measurement": (
        {"spreads": (), "stages": (), "device": None, "canary": ()},
        ["hytnas-profile collect latency", "hytnas-profile run"],
    ),
}


@pytest.mark.parametrize("gap", GAPS)
def test_a_missing_part_is_one_sentence_and_breaks_nothing(synthetic, full_page, words_only, gap):
    changes, commands = GAPS[gap]
    checker = check(build_report(replace(synthetic.full_report(), **changes)))
    assert any(attribute[1:] == ("class", "missing") for attribute in checker.attributes)
    for command in commands:
        assert f"{command} makes it." in checker.words()
        assert f"{command} makes it." not in check(full_page).words()


def test_without_accuracy_there_is_a_search_but_no_front(synthetic, words_only):
    data = synthetic.full_report()
    search = msgspec.structs.replace(
        data.search,
        objectives=data.search.objectives[:1],
        reference_point=data.search.reference_point[:1],
        front=tuple(msgspec.structs.replace(m, values=m.values[:1]) for m in data.search.front),
        evaluated=tuple(msgspec.structs.replace(m, values=m.values[:1]) for m in data.search.evaluated),
        picks=(),
    )
    page = build_report(replace(data, search=search, training=None, leaderboards=data.leaderboards[:1]))
    words = check(page).words()
    assert "no objectives of both latency and accuracy" in words
    assert "hytnas-profile collect accuracy" in words
    assert 'data-figure="front"' not in page
    assert 'data-figure="hypervolume"' in page


OBJECTIVES = {
    "energy_mj,params": (),
    "params": (),
    "latency": ("BL",),
    "accuracy": ("BA",),
    "accuracy,energy_mj": ("BA",),
}


@pytest.mark.parametrize("names", OBJECTIVES)
def test_a_search_for_other_objectives_shows_what_it_has_and_leaves_out_the_rest(
    synthetic, words_only, names
):
    data = synthetic.full_report()
    objectives = parse_objectives(names)
    rows = [
        msgspec.structs.replace(row, values=(0.5,) * len(objectives)) for row in data.search.evaluated[:5]
    ]
    search = msgspec.structs.replace(
        data.search,
        objectives=objectives,
        reference_point=data.search.reference_point[: len(objectives)],
        evaluated=tuple(rows),
        front=tuple(rows[:2]),
        picks=pick_from(rows[:2], objectives),
    )
    picks = OBJECTIVES[names]
    data = replace(data, search=search, verification=None)
    assert tuple(card.label for card in pick_cards(data)) == picks
    for card in pick_cards(data):
        assert card.big == ("0.500\u00a0ms" if card.label == "BL" else "50.0\u00a0%")
        assert ("Predicted latency", "\u2013") not in card.rows
    words = check(build_report(data)).words()
    assert ("the search was for neither" in words) == (not picks)
    assert "no search has been run" not in words
    assert "no objectives of both latency and accuracy" in words


def test_a_front_without_picks_is_drawn(synthetic, words_only):
    data = synthetic.full_report()
    data = replace(data, search=msgspec.structs.replace(data.search, picks=()))
    assert 'data-figure="front"' in build_report(data)
    assert describe_overview(data).draw(describe_overview(data).sizes[0]).figure


def test_an_empty_front_is_said_to_be_empty(synthetic, words_only):
    data = synthetic.full_report()
    data = replace(data, search=msgspec.structs.replace(data.search, front=(), picks=()), verification=None)
    words = check(build_report(data)).words()
    assert "none of the evaluated architectures meets its constraints" in words
    assert "the front of the search is empty" in words
    for wrong in ("no search yet", "no search has used them", "no search has been run", "no objectives of"):
        assert wrong not in words


OF_LATENCIES = ("front", "agreement-latency", "verification", "spread", "canary")


@pytest.mark.parametrize("execution", ["emulated", "instruction_count"])
def test_latencies_that_are_not_real_are_labelled_everywhere(synthetic, monkeypatch, execution):
    data = synthetic.full_report()

    def only_those(data):
        return {key: spec for key, spec in describe_figures(data).items() if key in OF_LATENCIES}

    monkeypatch.setattr("hytnas_host.report.page.describe_figures", only_those)
    page = build_report(
        replace(
            data,
            search=msgspec.structs.replace(data.search, execution=execution),
            verification=msgspec.structs.replace(data.verification, execution=execution),
        )
    )
    for key in (*OF_LATENCIES, "front-narrow"):
        svg = re.search(rf'<svg[^>]*data-figure="{key}".*?</svg>', page, re.DOTALL)[0]
        assert EXECUTION_WORDS[execution] in svg, key
    words = check(page).words()
    assert f"Latencies: {EXECUTION_WORDS[execution]}" in words
    (title,) = re.findall("<title>(.*?)</title>", page)
    assert EXECUTION_WORDS[execution] in title  # all that a bookmark or a shared link shows
    latencies = re.findall('<p class="under">(.*?)</p>', page)
    assert len(latencies) == len(data.search.picks)
    assert all(EXECUTION_WORDS[execution] in under for under in latencies)


def test_predictions_of_latencies_that_are_not_real_are_labelled_too(synthetic):
    data = synthetic.full_report()
    search = msgspec.structs.replace(data.search, execution="simulated")
    spec = describe_figures(replace(data, search=search, verification=None))["front"]
    for size in spec.sizes:
        assert "SIMULATED" in spec.draw(size).figure.axes[0].get_xlabel()


def test_the_least_real_part_gives_the_label(synthetic):
    data = synthetic.full_report()
    assert data.execution == "native"
    emulated = msgspec.structs.replace(data.verification, execution="emulated")
    assert replace(data, verification=emulated).execution == "emulated"
    simulated = msgspec.structs.replace(data.search, execution="simulated")
    assert replace(data, verification=emulated, search=simulated).execution == "simulated"


def test_a_suspected_leak_is_said_in_the_verdict_and_the_table(synthetic, words_only):
    data = synthetic.full_report()
    board = data.leaderboards[0]
    suspect = msgspec.structs.replace(board.scores[0], leak_suspected=True)
    board = msgspec.structs.replace(board, scores=(suspect, *board.scores[1:]))
    words = check(build_report(replace(data, leaderboards=(board,)))).words()
    assert words.count("leak") >= 2


def test_it_is_said_how_the_latencies_were_measured(synthetic, words_only):
    page = build_report(synthetic.drifting(synthetic.full_report()))
    words = check(page).words()
    table = words[words.index("How the latencies were measured") :]
    assert table.startswith(f"How the latencies were measured: {EXECUTION_WORDS['native']}")
    for line in (
        "probes are absent Nothing here looks for: throttling, temperature. Unknown is not healthy. 77",
        "Commonest: other processes took \u2026 of core \u2026 (38); \u2026 pages were swapped (4). 41",
        "None: labels of processes that were not judged",
    ):
        assert line in table
    trust = words[words.index("How far to trust it") : words.index("networks measured")]
    assert f"{synthetic.QUALITY.unstable} UNSTABLE" in trust
    assert "3 of too few undisturbed processes" in trust
    assert "31 from before a lasting change of the device's speed" in trust


def test_where_nothing_is_doubtful_nothing_is_said_to_be(synthetic, words_only):
    data = synthetic.full_report()
    quality = msgspec.structs.replace(synthetic.QUALITY, disturbed=0, unstable=0)
    spreads = tuple(replace(spread, outcome="OK") for spread in data.spreads)
    assert "doubtful" in check(build_report(data)).words()
    assert "doubtful" not in check(build_report(replace(data, spreads=spreads, qualities=(quality,)))).words()


def test_a_pick_and_a_row_that_are_unstable_are_marked(synthetic, words_only):
    data = synthetic.full_report()
    chosen = data.search.picks[0].architecture
    rows = tuple(
        msgspec.structs.replace(row, outcome="UNSTABLE" if row.architecture == chosen else "OK")
        for row in data.verification.rows
    )
    page = build_report(replace(data, verification=msgspec.structs.replace(data.verification, rows=rows)))
    cards = re.findall("<article.*?</article>", page, re.DOTALL)
    marked = [card for card in cards if '<p class="note">UNSTABLE' in card]
    assert [chosen in card for card in marked] == [True] * len(marked)
    assert marked
    (row,) = re.findall(f'<tr><th scope="row"><code>{chosen}</code></th>.*?</tr>', page)
    assert '<span class="note">UNSTABLE</span>' in row
    assert f"1 of {len(rows)} are UNSTABLE" in check(page).words()


def test_the_drifting_study_is_well_formed_and_its_marks_have_tooltips(synthetic):
    page = build_report(synthetic.drifting(synthetic.full_report()))
    assert [name for name, count in check(page).ids.items() if count > 1] == []
    test_every_mark_has_its_tooltip(page)
    test_figures_take_all_their_colours_from_the_page(page)


def test_one_network_alone_can_be_drawn(synthetic):
    data = synthetic.full_report()
    member = data.search.front[0]
    search = msgspec.structs.replace(
        data.search, front=(member,), evaluated=(member,), picks=data.search.picks[:1]
    )
    verification = msgspec.structs.replace(data.verification, rows=data.verification.rows[:1])
    page = build_report(replace(data, search=search, verification=verification, spreads=data.spreads[:1]))
    assert check(page).tags["svg"] == 2 * 15
