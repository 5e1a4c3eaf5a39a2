"""The file in which a developer says what an app is made of. Pure: text in, dataclass-like models or problems out."""

from apps_catalog.spacefile.model import Action, EnvPreset, Micro, Spacefile, Volume, json_schema
from apps_catalog.spacefile.parse import parse
from apps_catalog.spacefile.problems import Problem, SpacefileErrors

__all__ = ["Action", "EnvPreset", "Micro", "Problem", "Spacefile", "SpacefileErrors", "Volume", "json_schema", "parse"]
