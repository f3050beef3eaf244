"""Fuzz readers, certificates and partition files: ``python tests/fuzz/fuzzing.py --inputs 1000000``.

Every input is used in this process, with limits of processor time and memory.  Inputs depend on the seed alone.
Findings are printed, and kept in the folder that is given.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_mutations import mutated
from fuzz_targets import Target, targets

from lumpability.errors import LumpabilityError

SECONDS, BYTES = 5, 1 << 30


class TooLongError(BaseException):
    """An input took more than `SECONDS` of the processor."""


def _alarm(signal_number: int, frame: FrameType | None) -> None:
    raise TooLongError


def outcome(target: Target) -> str:
    """Use a file; return "read", "refused", or what is wrong."""
    signal.signal(signal.SIGPROF, _alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.use(target.path)
    except LumpabilityError as error:
        text = str(error)
        return "WRONG: over 1 GiB" if "more memory than there is" in text else "refused"
    except AssertionError as error:
        return f"WRONG: {error}"
    except TooLongError:
        return f"WRONG: over {SECONDS} s"
    except MemoryError:
        return "WRONG: over 1 GiB"
    except Exception as error:  # noqa: BLE001  # this is what is looked for
        return f"WRONG: {type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def fuzz(
    seed: int, inputs: int, seconds: float, kept: Path | None = None
) -> tuple[Counter[str], dict[str, tuple[str, bytes]]]:
    """Use changed files until there were enough or time is over; return counts, and one input a finding."""
    counts: Counter[str] = Counter()
    findings: dict[str, tuple[str, bytes]] = {}

    before = resource.getrlimit(resource.RLIMIT_DATA)
    in_use = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all_targets = targets(Path(folder))
        originals = {target.path: target.path.read_bytes() for target in all_targets}
        for target in all_targets:  # what is imported at first use is no part of the limits
            counts[outcome(target)] += 1
        resource.setrlimit(resource.RLIMIT_DATA, (in_use + 2 * BYTES, before[1]))
        end = time.monotonic() + seconds
        try:
            for number in range(inputs):
                if time.monotonic() > end:
                    break
                random = Random(f"{seed} {number}")
                target = random.choice(all_targets)
                data = mutated(originals[target.path], target.suffix, random)
                target.path.write_bytes(data)
                result = outcome(target)
                counts[result.partition(":")[0]] += 1
                if result.startswith("WRONG") and f"{target.name}: {result}" not in findings:
                    findings[f"{target.name}: {result}"] = (target.name, data)
                    if kept is not None:
                        kept.mkdir(exist_ok=True)
                        (kept / f"{seed}-{number}-{target.path.name}").write_bytes(data)
                target.path.write_bytes(originals[target.path])
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
    return counts, findings


def main() -> int:
    """Run from the command line; the exit code is 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    counts, findings = fuzz(given.seed, given.inputs, given.seconds, given.keep)
    sys.stdout.write(f"{sum(counts.values())} inputs: {dict(counts)}\n")
    for finding in findings:
        sys.stdout.write(f"{finding[:300]}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
