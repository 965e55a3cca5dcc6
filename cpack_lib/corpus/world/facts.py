"""The facts of the embedded world: domains, their attributes, and entities with a value for each attribute.

One domain is two files under facts/: NAME.yaml says which attributes it has and how they are put into words,
NAME.tsv lists the entities.  In the TSV `/` separates wordings, `-` means none, and the value of an open
attribute is `中文|English`, again with `/` between wordings.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import yaml

FACTS = Path(__file__).parent / "facts"
LANGUAGES = ("zh", "en")
FEWEST_ATTRIBUTES = 3
TAB = "\t"
FIXED_COLUMNS = ["name", "aliases", "periphrases", "english"]


@dataclass(frozen=True, eq=False)
class Attribute:
    """A property that every entity of a domain may have, with the sentences that state it and ask for it."""

    id: str  # domain/key
    intent: str  # what a question about it is after: place, time, use, …
    exclusive: bool  # an entity has one value only, so another value is false
    what: str  # the Chinese question word: 什么, 哪里, …
    label: dict[str, tuple[str, ...]]  # language -> names of the property
    say: dict[str, tuple[str, ...]]  # language -> statements with {e} and {v}
    ask: dict[str, tuple[str, ...]]  # language -> questions with {e}
    values: dict[str, dict[str, tuple[str, ...]]]  # value -> language -> wordings


@dataclass(frozen=True, eq=False)
class Domain:
    """A class of things: its words, its pronouns, its attributes by key."""

    name: str
    title: dict[str, str]  # language -> name of the class
    pronouns: dict[str, tuple[str, ...]]  # language -> it, this plant, …
    attributes: dict[str, Attribute]


@dataclass(frozen=True, eq=False)
class Entity:
    """One thing: what it is called in each language and the value of each of its attributes."""

    id: str  # domain/name
    domain: Domain
    name: str
    aliases: tuple[str, ...]  # other names
    periphrases: tuple[str, ...]  # descriptions that fit nothing else
    designations: dict[str, tuple[str, ...]]  # language -> everything above that names it
    values: dict[str, str]  # attribute key -> value

    @cached_property
    def attributes(self) -> list[Attribute]:
        """The attributes with a known value, in the order of the domain."""
        return [self.domain.attributes[key] for key in self.values]

    def value(self, attribute: Attribute) -> str:
        """The value of one of its attributes."""
        return self.values[attribute.id.split("/")[1]]


def split_cell(cell: str) -> tuple[str, ...]:
    """The wordings in a TSV cell; `-` is none."""
    return () if cell == "-" else tuple(cell.split("/"))


def read_attribute(domain: str, key: str, node: dict) -> Attribute:
    """An attribute from its YAML node; open ones get their values from the TSV."""
    closed = {} if node["values"] == "open" else node["values"]
    values = {name: {lang: tuple(wordings[lang]) for lang in LANGUAGES} for name, wordings in closed.items()}
    parts = ("label", "say", "ask")
    label, say, ask = ({lang: tuple(node[part][lang]) for lang in LANGUAGES} for part in parts)
    return Attribute(
        id=f"{domain}/{key}",
        intent=node["intent"],
        exclusive=node["exclusive"],
        what=node["q"],
        label=label,
        say=say,
        ask=ask,
        values=values,
    )


def read_domain(path: Path) -> tuple[Domain, set[str]]:
    """A domain from its YAML file, and the keys of its open attributes."""
    node = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    attributes = {key: read_attribute(node["domain"], key, part) for key, part in node["attributes"].items()}
    pronouns = {lang: tuple(node["it"][lang]) for lang in LANGUAGES}
    domain = Domain(node["domain"], {lang: node[lang] for lang in LANGUAGES}, pronouns, attributes)
    return domain, {key for key, part in node["attributes"].items() if part["values"] == "open"}


def read_value(cell: str, attribute: Attribute, is_open: bool, place: str) -> str:
    """The value in a cell; an open attribute learns its wordings."""
    if is_open:
        if cell.count("|") != 1:
            raise ValueError(f"{place}: {cell!r} is not of the form 中文|English")
        chinese, english = cell.split("|")
        value = split_cell(chinese)[0]
        attribute.values.setdefault(value, {"zh": split_cell(chinese), "en": split_cell(english)})
        return value
    if cell not in attribute.values:
        known = ", ".join(attribute.values)
        raise ValueError(f"{place}: {cell!r} is none of {known}; add it to the YAML file")
    return cell


def read_entities(path: Path, domain: Domain, open_keys: set[str]) -> list[Entity]:
    """The rows of a domain's TSV file."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    keys = header.split(TAB)[len(FIXED_COLUMNS) :]
    if header.split(TAB) != FIXED_COLUMNS + list(domain.attributes):
        raise ValueError(f"{path.name}: the columns are {header!r}, not those of {domain.name}.yaml")
    entities = []
    for number, line in enumerate(lines, start=2):
        place, cells = f"{path.name}:{number}", line.split(TAB)
        if len(cells) != len(header.split(TAB)):
            raise ValueError(f"{place}: {len(cells)} columns, the header has {header.count(TAB) + 1}: {line}")
        name, aliases, periphrases, english = cells[0], *map(split_cell, cells[1:4])
        values = {
            key: read_value(cell, domain.attributes[key], key in open_keys, f"{place}, {key}")
            for key, cell in zip(keys, cells[4:], strict=True)
            if cell != "-"
        }
        if len(values) < FEWEST_ATTRIBUTES:
            raise ValueError(f"{place}: {name} needs {FEWEST_ATTRIBUTES} values or more, not {len(values)}")
        designations = {"zh": (name, *aliases, *periphrases), "en": english}
        names = (name, aliases, periphrases, designations)
        entities.append(Entity(f"{domain.name}/{name}", domain, *names, values))
    return entities


@cache
def all_domains() -> tuple[Domain, ...]:
    """Every domain, by name."""
    return tuple(dict.fromkeys(entity.domain for entity in all_entities()))


@cache
def all_entities() -> tuple[Entity, ...]:
    """Every entity of every domain, domains by name, entities in the order of their files."""
    entities = []
    for path in sorted(FACTS.glob("*.yaml")):
        domain, open_keys = read_domain(path)
        entities += read_entities(path.with_suffix(".tsv"), domain, open_keys)
    return tuple(entities)


@cache
def family(domain: Domain) -> tuple[Entity, ...]:
    """The entities of a domain."""
    return tuple(entity for entity in all_entities() if entity.domain is domain)


@cache
def holders(attribute: Attribute) -> tuple[Entity, ...]:
    """The entities with a value of the attribute."""
    return tuple(entity for entity in all_entities() if attribute in entity.attributes)
