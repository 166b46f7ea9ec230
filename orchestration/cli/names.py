"""The names that a user writes: minerals, categories, countries and marts.

A name may be written in any case, a country by its name or code, a blank as a hyphen. A name that
is not there is answered with the nearest, or with what would bring it. The shell completes the
words by the functions here.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer

from minerals.countries import find_country, plain
from minerals.errors import MineralsError, ReleaseError
from minerals.mapping.seeds import MINERALS, Row, closest, read_seed
from minerals.names import CATEGORIES, MODELS
from minerals.settings import Settings, country_names, read_settings

_NEAR = 0.75  # how like a name a word is that is taken for it


def known(kind: str, word: str, names: Collection[str]) -> str:
    """The name that `word` spells, in any case. Raises ReleaseError with the nearest, or all."""
    spelled = {plain(name): name for name in names}
    if plain(word) in spelled:
        return spelled[plain(word)]
    near = closest(word, names, _NEAR)
    listed = ("; " if any("," in name for name in names) else ", ").join(sorted(names)) or "none"
    hint = f"Did you mean {near}?" if near else f"There are: {listed}."
    raise ReleaseError(f"There is no {kind} '{word}'. {hint}")


def mineral_rows(settings: Settings) -> Sequence[Row]:
    """The 37 minerals: the rows of the seed."""
    return read_seed(settings.seeds_dir / MINERALS).rows


def known_mineral(word: str, settings: Settings, held: Collection[str], profile: str) -> str:
    """The mineral that `word` names, by its name or symbol, of those that are `held`.

    Raises ReleaseError with the nearest name or, for a mineral without data, with the reason.
    `profile` is the one that the release was made with.
    """
    rows = {row["mineral"]: row for row in mineral_rows(settings)}
    spelled = {plain(row["symbol"]): name for name, row in rows.items() if row["symbol"]}
    spelled |= {plain(name): name for name in (*rows, *held)}
    name = spelled.get(plain(word))
    if name in held:
        return name
    if name is None:
        return known("mineral", word, [*rows, *held])
    raise ReleaseError(f"{name} has no {why_no_data(profile)}. {rows[name]['note']}.")


def why_no_data(profile: str) -> str:
    """What one of the 37 minerals that is not in a release lacks."""
    if profile == "bundled":
        return "line in the bundle; the live profile brings it (MINERALS_PROFILE=live)"
    return "trade and no mine in the years of the release"


def split_market(
    words: Sequence[str] | None, minerals: Collection[str] = ()
) -> tuple[str | None, str | None]:
    """The mineral and the category in the words `[mineral] [category]`; None where none is given.

    A mineral of two words needs no quotes: `rare earths products`. `minerals` are the names with
    which a wrong word behind a right one is told to be a wrong category (ReleaseError).
    """
    rest, category = list(words or ()), None
    named = {plain(name): name for name in CATEGORIES}
    if rest and plain(rest[-1]) in named:
        category = named[plain(rest.pop())]
    elif len(rest) > 1:
        text, spelled = plain(" ".join(rest)), {plain(name) for name in minerals}
        if text not in spelled and plain(" ".join(rest[:-1])) in spelled:
            known("category", rest[-1], CATEGORIES)
    return " ".join(rest) or None, category


def known_country(word: str, settings: Settings) -> str:
    """The ISO3 code of a country by its name or code. Raises ReleaseError with the nearest one."""
    if found := find_country(word, settings.seeds_dir):
        return found
    by_name = {name: iso3 for iso3, name in country_names(settings.seeds_dir).items()}
    near = closest(word, by_name, _NEAR)
    hint = f"Did you mean {near} ({by_name[near]})?" if near else "Write for example India or IND."
    raise ReleaseError(f"There is no country '{word}'. {hint} `minerals list countries` has all.")


def known_countries(texts: Iterable[str], settings: Settings) -> list[str]:
    """The ISO3 codes of lists separated by commas: 'China,Russia'; codes also by blanks."""
    found = []
    for text in texts:
        for part in [text] if find_country(text, settings.seeds_dir) else text.split(","):
            are_codes = re.fullmatch(r"\s*[A-Za-z]{3}(\s+[A-Za-z]{3})+\s*", part)
            is_name = find_country(part, settings.seeds_dir)
            words = part.split() if are_codes and not is_name else [part]
            found += [known_country(word, settings) for word in words if word.strip()]
    return list(dict.fromkeys(found))


def known_importer(word: str | None, settings: Settings, held: Collection[str]) -> str:
    """The importer's ISO3 code, by default the first of the settings.

    Raises ReleaseError with the importers of the release, and how to add the one that is missing.
    """
    code = known_country(word or settings.first_importer, settings)
    if code in held:
        return code
    add = "" if code in settings.importers else f"`minerals importers add {code}`, then "
    raise ReleaseError(
        f"{code} is not in the release. The release holds {', '.join(sorted(held))}. {add}"
        "`minerals refresh` brings it."
    )


def _as_typed(names: Iterable[str], beginning: str) -> Iterator[str]:
    """Those names that begin so, in the case of the beginning, with hyphens for signs and blanks,
    so that no shell needs quotes."""
    for name in names:
        if plain(name).startswith(plain(beginning)):
            slug = "-".join(re.findall(r"\w+", name))
            yield slug if beginning[:1].isupper() else slug.lower()


def _or_nothing(complete: Callable[..., Any]) -> Callable[..., Any]:
    """A completion that stays silent where the settings are wrong: the command itself tells."""

    def completed(ctx: typer.Context, incomplete: str) -> list[Any]:
        try:
            return list(complete(ctx, incomplete))
        except MineralsError:
            return []

    return completed


def _minerals(_: typer.Context, incomplete: str) -> Iterator[str]:
    return _as_typed((row["mineral"] for row in mineral_rows(read_settings())), incomplete)


def _market(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """A mineral, then a category."""
    if not (before := ctx.params.get("words")):
        yield from _minerals(ctx, incomplete)
    if split_market(before)[1] is None:
        yield from _as_typed(CATEGORIES, incomplete)


def _countries(_: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Codes with their names or, where a name begins so, the name; behind commas, too."""
    before, comma, last = incomplete.rpartition(",")
    names = country_names(read_settings().seeds_dir)
    for code, name in names.items():
        if not last or (last.isupper() and code.startswith(last)):
            yield before + comma + code, name
        elif not (last.isupper() and len(last) > 1):
            for slug in _as_typed([name], last):
                yield before + comma + slug, code


def _marts(_: typer.Context, incomplete: str) -> Iterator[str]:
    from minerals.marts import names

    return (name for name in names() if name.startswith(incomplete.lower()))


def _models(_: typer.Context, incomplete: str) -> Iterator[str]:
    return _as_typed(MODELS, incomplete)


def _categories(_: typer.Context, incomplete: str) -> Iterator[str]:
    return _as_typed(CATEGORIES, incomplete)


COUNTRIES = _or_nothing(_countries)
MINERAL = _or_nothing(_minerals)
MARTS = _or_nothing(_marts)
MODEL = _or_nothing(_models)

Importer = Annotated[
    str | None,
    typer.Option(
        help="The importing country: name or ISO code; default: the first of the settings.",
        autocompletion=COUNTRIES,
    ),
]
Mineral = Annotated[
    str | None,
    typer.Option(help="Only this mineral, for example Copper.", autocompletion=MINERAL),
]
Category = Annotated[
    str | None,
    typer.Option(help="ores, products or scrap.", autocompletion=_or_nothing(_categories)),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MINERAL CATEGORY",
        help="A mineral, such as lithium or rare earths, and ores, products or scrap; else all.",
        autocompletion=_or_nothing(_market),
        show_default=False,
    ),
]
Top = Annotated[int | None, typer.Option(min=1, help="How many to show.", show_default=False)]
# The words said as options: for scripts that name each value.
MineralOption = Annotated[str | None, typer.Option("--mineral", hidden=True)]
CategoryOption = Annotated[str | None, typer.Option("--category", hidden=True)]
