"""How wild a story is: drawn from its seed, before anything happens.

Must never know: what becomes of it.
"""

from __future__ import annotations

from random import Random  # noqa: TID251 - seeded: the same draws every time
from typing import Final

from msgspec import Struct

from stratarouter_runtime.testing.faults import Weather
from stratarouter_runtime.testing.world import Luck

EIGHTH: Final = 5
"""Of eight stories this one is about answers that are reused. Which, is no draw: the others stay as they are."""

DIES: Final = 0.12
"""How often a call that is shared dies there."""

MORE: Final = 2
"""Clients that such a story has more than others, so that they want the same at the same time."""

COLD: Final = 0.01
"""The share of stories whose processes begin without a plan in memory: compiling takes most of their time."""

ALL: Final = ("crash", "drain", "rival", "stop", "jump", "full", "away")
"""Every kind of trouble."""

FAIR: Final = ("crash", "drain", "jump")
"""Troubles in which nothing fails that a start does not mend."""

RACES: Final = ("stop", "stop", "crash")
"""What rivals meet more often than others do: it makes one take over from another."""


class Temper(Struct):
    """Most kinds of trouble are off in most stories.

    `cancels`, `leaves`, `moves` and `forks` are chances: that a client cancels, leaves before it is
    told, pauses or migrates its execution, and begins another from what it did.
    """

    cold: bool
    clients: int
    troubles: tuple[str, ...]
    times: int
    twice: float
    cancels: float
    leaves: float
    moves: float
    forks: float
    weather: Weather
    luck: Luck
    reuses: bool = False

    @classmethod
    def draw(cls, chance: Random, *, reuses: bool = False) -> Temper:
        """The temper of the story of this chance; `reuses` says that answers are reused in it."""

        def some(share: float, most: float) -> float:
            return chance.random() * most if chance.random() < share else 0.0

        # In fair stories the store never fails and nobody races: nothing may need recovery but a start.
        fair = chance.random() < 0.4
        among = FAIR if fair else ALL
        troubles = [name for name in among if chance.random() < 0.5]
        rivals = "rival" in troubles
        if rivals:
            troubles += RACES
        return cls(
            cold=chance.random() < COLD,
            clients=1 + int(chance.random() * 3) + MORE * reuses,
            troubles=tuple(troubles),
            times=int(chance.random() * 5) + 2 * rivals,
            twice=some(0.3, 0.5),
            cancels=some(0.3, 0.3),
            leaves=some(0.4, 0.8),
            moves=some(0.35, 0.7),
            forks=some(0.2, 0.4),
            weather=Weather(
                slow=1 + int(some(0.9, 8_000)),
                stale=some(0.4, 0.5),
                ill=0.0 if fair else some(0.4, 0.1),
                late=0.0 if fair else some(0.4, 0.1),
            ),
            luck=Luck(
                fails=some(0.6, 0.3),
                hangs=some(0.3, 0.1),
                lies=some(0.2, 0.1),
                stubborn=some(0.3, 1.0),
                dies=DIES * reuses,
            ),
            reuses=reuses,
        )

    @property
    def rivals(self) -> bool:
        """Whether processes share the store."""
        return "rival" in self.troubles

    @property
    def steady(self) -> bool:
        """Whether nothing stops an execution that the start of a process does not mend."""
        faulty = self.weather.ill + self.weather.late > 0
        return not (faulty or {"rival", "full", "away"} & set(self.troubles))

    @property
    def well(self) -> bool:
        """Whether no process has a reason to lose its lease."""
        faulty = self.weather.ill + self.weather.late > 0
        return not (faulty or {"stop", "full", "away"} & set(self.troubles))

    def calm(self) -> None:
        """No more faults."""
        self.weather.calm()
        self.cancels = self.leaves = self.moves = 0.0
