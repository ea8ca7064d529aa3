"""Upper confidence bounds for a share, from a random sample. Pure; nothing is assumed about the distribution.

Two bounds, each valid at any size of the sample:

- `clopper_pearson`: for items drawn one by one. Exact: C. J. Clopper and E. S. Pearson, "The use of confidence or
  fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).
- `betting`: for clusters of items. I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by
  betting", Journal of the Royal Statistical Society B 86 (2024); one-sided, with several constant bets at once.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

CONFIDENCE = 0.95

#: The bets of `betting`: each a part of the largest bet that cannot lose more than everything, and its part of the
#: starting capital. The largest bet decides where nothing is missing, the small ones where much is.
_BETS = (
    (1.0, 0.60),
    (0.9, 0.09),
    (0.75, 0.08),
    (0.55, 0.06),
    (0.35, 0.05),
    (0.2, 0.04),
    (0.11, 0.03),
    (0.06, 0.02),
    (0.033, 0.02),
    (0.018, 0.01),
)

_STEPS = 44  # halvings of the interval in which a bound lies: the rest is below 1e-13


def clopper_pearson(missing: int, sampled: int, confidence: float = CONFIDENCE) -> float:
    """Return the largest share for which `missing` or fewer of `sampled` independent items are not too improbable.

    Where all are missing, and without a sample, it is 1.

    Raises:
        ValueError: more are missing than were sampled.
    """
    if not 0 <= missing <= sampled:
        raise ValueError(f"{missing} of {sampled} items cannot be missing")
    if missing == sampled:
        return 1.0
    if missing == 0:
        return -math.expm1(math.log1p(-confidence) / sampled)
    return _smallest(lambda share: _probability(missing, sampled, share) <= 1.0 - confidence, missing / sampled)


def betting(shares: Iterable[float] | Mapping[float, int], confidence: float = CONFIDENCE) -> float:
    """Return an upper bound for the mean of independent variables between 0 and 1: the missing shares of clusters.

    A bettor claims that the mean is smaller than m, and stakes a part of the capital on each cluster: the capital grows
    where less than m is missing. If m is the true mean, the capital is not expected to grow, so it reaches
    1 / (1 - confidence) times its start with a probability of at most 1 - confidence (Markov). The bound is the
    smallest m that is refuted in this way. The order of the clusters plays no part, and their distributions may differ:
    then it is a bound for the mean of their means.

    Args:
        shares: the missing share of each cluster; a mapping has the number of clusters with each share.
        confidence: the probability with which the bound holds, at least.

    Raises:
        ValueError: a share is outside 0 to 1.
    """
    counts = +Counter(shares)  # without those that do not occur
    if any(not 0.0 <= share <= 1.0 for share in counts):
        raise ValueError("the share of a cluster is between 0 and 1")
    clusters = counts.total()
    if not clusters:
        return 1.0
    mean = sum(share * count for share, count in counts.items()) / clusters
    needed = -math.log1p(-confidence)
    return _smallest(lambda claimed: _log_capital(counts, claimed) >= needed, min(1.0, mean))


def _log_capital(counts: Mapping[float, int], claimed: float) -> float:
    """Return the logarithm of the capital of a bettor who claims that the mean is smaller than `claimed`."""
    logs = [_log_growth(counts, claimed, bet) + math.log(part) for bet, part in _BETS]
    most = max(logs)
    return most if math.isinf(most) else most + math.log(sum(math.exp(log - most) for log in logs))


def _log_growth(counts: Mapping[float, int], claimed: float, bet: float) -> float:
    stake = bet / (1.0 - claimed)
    total = 0.0
    for share, count in counts.items():
        factor = 1.0 + stake * (claimed - share)
        if factor <= 0.0:
            return -math.inf
        total += count * math.log(factor)
    return total


def _probability(most: int, sampled: int, share: float) -> float:
    """Return the probability of at most `most` hits in `sampled` trials; `share`: of one hit, at least most/sampled."""
    largest = (
        math.lgamma(sampled + 1)
        - math.lgamma(most + 1)
        - math.lgamma(sampled - most + 1)
        + most * math.log(share)
        + (sampled - most) * math.log1p(-share)
    )
    total, term = 0.0, 1.0
    for hits in range(most, -1, -1):  # from the largest term downwards, in parts of it
        total += term
        term *= hits / (sampled - hits + 1) * (1.0 - share) / share
        if term < total * 1e-17:
            break
    return math.exp(largest) * total


def _smallest(holds: Callable[[float], bool], low: float) -> float:
    """Return the smallest number above `low` for which a monotonic statement holds; 1 if there is none below 1."""
    high = 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if middle in {low, high}:
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
