"""What the package icalendar reads from a calendar: the calendar in, JSON out. Of rules, the first five dates by dateutil."""
import json
import sys
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import Calendar

calendar = Calendar.from_ical(sys.stdin.buffer.read())
entries, wrong_offsets = [], []

for component in calendar.walk():
    if component.name == "VTIMEZONE":
        name = str(component["TZID"])
        ours, known = component.to_tz(lookup_tzid=False), ZoneInfo(name)
        first = min(part["DTSTART"].dt for part in component.subcomponents).replace(tzinfo=None)
        # Noon of every third day is no time that a clock change skips or doubles.
        day = datetime(first.year, 1, 2, 12)
        while day.year < datetime.now().year + 9:
            if day.replace(tzinfo=ours).utcoffset() != day.replace(tzinfo=known).utcoffset():
                wrong_offsets.append(f"{name} {day}")
            day += timedelta(days=3)
    if component.name not in ("VEVENT", "VTODO"):
        continue
    start = (component.get("DTSTART") or component.get("DUE")).dt
    entry = {
        "component": component.name,
        "uid": str(component["UID"]),
        "summary": str(component["SUMMARY"]),
        "description": str(component["DESCRIPTION"]) if "DESCRIPTION" in component else None,
        "categories": sorted(str(tag) for tag in component["CATEGORIES"].cats) if "CATEGORIES" in component else [],
        "priority": int(component["PRIORITY"]) if "PRIORITY" in component else None,
        "start": start.astimezone(timezone.utc).isoformat() if isinstance(start, datetime) else start.isoformat(),
    }
    if "RRULE" in component:
        rule = component["RRULE"].to_ical().decode()
        timed = isinstance(start, datetime)
        begin = start.replace(tzinfo=ZoneInfo(str(start.tzinfo))) if timed else datetime.combine(start, datetime.min.time())
        dates = list(islice(rrulestr(rule, dtstart=begin), 5))
        entry["dates"] = [d.astimezone(timezone.utc).isoformat() if timed else d.date().isoformat() for d in dates]
    entries.append(entry)

json.dump({"entries": entries, "errors": [str(error) for error in calendar.errors], "wrong_offsets": wrong_offsets}, sys.stdout)
