"""When recurring tasks are due next, by python-dateutil. One case a line in, one answer a line out, both JSON.

Where the services mean something else than the standard, this says so, and nowhere else:
- monthly from the 29th to the 31st is the last day of shorter months, yearly from 29 February the last day of February;
- a clock time that a change of the clock skips is as much later (which is dateutil's `resolve_imaginary`).
"""
import json
import sys
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from dateutil import tz
from dateutil.rrule import rrulestr

LAST_YEAR = 2200


def at_month_end(rule, start):
    parts = dict(part.split("=") for part in rule.split(";"))
    says_when = any(name.startswith("BY") and name != "BYMONTH" for name in parts)
    days = ",".join(str(day) for day in range(28, start.day + 1))
    if parts["FREQ"] == "MONTHLY" and start.day > 28 and not says_when:
        return f"{rule};BYMONTHDAY={days};BYSETPOS=-1"
    if parts["FREQ"] == "YEARLY" and (start.month, start.day) == (2, 29) and not says_when and "BYMONTH" not in parts:
        return f"{rule};BYMONTH=2;BYMONTHDAY={days};BYSETPOS=-1"
    return rule


def instant(civil, zone):
    """UTC, of a skipped time later, of a doubled one the first."""
    return tz.resolve_imaginary(civil.replace(tzinfo=zone)).astimezone(timezone.utc)


def dates(rule, start, zone):
    """Civil times. With an end in UTC dateutil wants to know the zone."""
    known = "UNTIL" in rule and rule.split("UNTIL=")[1].split(";")[0].endswith("Z")
    begin = start.replace(tzinfo=zone) if known else start
    for found in rrulestr(at_month_end(rule, start), dtstart=begin):
        if found.year > LAST_YEAR:
            return
        yield found.replace(tzinfo=None)


def answer(case):
    zone = ZoneInfo(case["zone"])
    completions = [datetime.fromisoformat(text) for text in case["completions"]]
    day_only = "date" in case
    start = datetime.combine(date.fromisoformat(case["date"]), time.min) if day_only else datetime.fromisoformat(case["civil"])
    # What is compared: days with days, instants with instants.
    key = (lambda civil: civil.date()) if day_only else (lambda civil: instant(civil, zone))
    moment = (lambda at: at.astimezone(zone).date()) if day_only else (lambda at: at)
    due, found = key(start), []
    if "after_days" in case:
        for completed in completions:
            day = completed.astimezone(zone).date() + timedelta(days=case["after_days"])
            found.append(key(datetime.combine(day, start.time())))
        return found
    upcoming = dates(case["rule"], start, zone)
    candidate = next(upcoming, None)
    for completed in completions:
        while candidate is not None and not (key(candidate) > due and key(candidate) > moment(completed)):
            candidate = next(upcoming, None)
        if candidate is None:
            found.append(None)
            break
        due = key(candidate)
        found.append(due)
    return found


for line in sys.stdin:
    print(json.dumps([each and each.isoformat() for each in answer(json.loads(line))]))
