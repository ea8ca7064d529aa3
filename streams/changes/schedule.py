"""The times of the looks at an item: its ages, as configured, and the pauses derived from them. Pure."""

from dataclasses import dataclass

#: A look counts as on time within this time after it was due, or within this share of the age at which it was due.
_ON_TIME_S = 60.0
_ON_TIME_SHARE = 0.05

#: Longest time from a first absence to the look that confirms it, seconds; shorter where the first age is.
_CONFIRM_S = 300.0

#: Longest interval of created_utc of the items of one block, and longest wait for a full request, seconds.
_BUCKET_S = 60.0
_GATHER_S = 30.0

#: Between two looks at an item that is missing while its subreddit cannot be read, in times of the confirmation.
_UNREADABLE_CONFIRMS = 12

#: A missing item whose subreddit stays unreadable is dropped at this multiple of the last age.
_GIVE_UP_AGES = 2.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The ages at which an item is looked at, seconds, ascending."""

    ages: tuple[float, ...]

    @classmethod
    def of(cls, ages: tuple[float, ...]) -> "Schedule":
        """Return the schedule of these ages, in any order."""
        return cls(tuple(sorted(set(ages))))

    def first_due(self, created: float, captured_at: float) -> float | None:
        """Return when an item is first looked at: at the first age that it had not reached when it was captured."""
        return self.next_due(created, captured_at)

    def next_due(self, created: float, now: float) -> float | None:
        """Return when an item is looked at next after `now`; None: never."""
        return next((created + age for age in self.ages if created + age > now), None)

    def passed(self, created: float, due: float, now: float) -> int:
        """Return how many further looks became due while the one at `due` waited: they are the same look."""
        return sum(due < created + age <= now for age in self.ages)

    def is_on_time(self, created: float, due: float, now: float) -> bool:
        """Return whether a look at `now` is on time."""
        return now - due <= self.tolerance(due - created)

    def tolerance(self, age: float) -> float:
        """Return the seconds after which a look that is due at this age is late."""
        return max(_ON_TIME_S, _ON_TIME_SHARE * age)

    @property
    def confirm_s(self) -> float:
        """Seconds from a first absence to the look that may confirm it."""
        return min(_CONFIRM_S, max(1.0, self.ages[0] / 12))

    @property
    def bucket_s(self) -> float:
        """Longest interval of created_utc of the items of one block, seconds."""
        return min(_BUCKET_S, max(1.0, self.ages[0] / 60))

    @property
    def gather_s(self) -> float:
        """Longest time that due items wait until a request is full, seconds."""
        return min(_GATHER_S, self.ages[0] / 120)

    @property
    def unreadable_s(self) -> float:
        """Seconds between two looks at a missing item whose subreddit cannot be read."""
        return self.confirm_s * _UNREADABLE_CONFIRMS

    def again_s(self, created: float, now: float) -> float:
        """Return the seconds until the next look after one that proved nothing: more after the last age."""
        return self.confirm_s if now - created <= self.ages[-1] else self.unreadable_s

    def gives_up(self, created: float, now: float) -> bool:
        """Return whether an item about which looks prove nothing any more is dropped: a look at `now` was the last."""
        return now - created > _GIVE_UP_AGES * self.ages[-1]
