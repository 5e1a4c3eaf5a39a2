"""What is wrong with a file that somebody wrote, said so that they can mend all of it in one go."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing to mend. line: counted from 1, None where no line is to blame. micro: its name, or "at index N"."""

    message: str
    key: str = ""
    micro: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"micro {self.micro}"] if self.micro is not None else []
        where += [self.key] if self.key else []
        return f"{', '.join(where)}: {self.message}" if where else self.message


class SpacefileErrors(ValueError):
    """All problems of one Spacefile, in the order of their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__("\n".join(str(problem) for problem in self.problems))
