"""Generate the sample files in dags/data: app profiles of fictitious people and devices.

Run it after a change here: .venv/bin/python dev/make_sample_data.py. The output is deterministic.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Attributes = dict[str, str]
    Record = dict[str, str | Attributes]

DATA = Path(__file__).parents[1] / "dags" / "data"

APP_ID = "a_636035705699961900"
START = datetime(2026, 1, 5, 9, 0, tzinfo=timezone.utc)
PEOPLE = ("Robin Sample", "Kim Example", "Alex Muster", "Sam Specimen", "Jo Placeholder", "Max Template")
CITIES = (
    ("Berlin", "Berlin", "Germany", "de", "de_DE", "1"),
    ("Leeds", "England", "United Kingdom", "en", "en_GB", "0"),
    ("Pune", "Maharashtra", "India", "en", "en_IN", "5.5"),
    ("Lyon", "Rhône", "France", "fr", "fr_FR", "1"),
)
PHONES = (
    ("Acme", "Acme One", "Android", "15"),
    ("Globex", "Globex Mini", "Android", "16"),
    ("Initech", "Initech Air", "iOS", "19.1"),
)


def plain_time(number: int) -> str:
    """Return a time in the format of Facebook, Twitter and In-App profiles."""
    return f"{START + timedelta(minutes=17 * number):%Y-%m-%d %H:%M:%S}"


def iso_time(number: int) -> str:
    """Return a time in the format of WeChat profiles, with milliseconds and Z."""
    return f"{START + timedelta(minutes=17 * number):%Y-%m-%dT%H:%M:%S}.{number % 1000:03d}Z"


def facebook(number: int) -> Attributes:
    """Return the attributes of a Facebook user."""
    name = PEOPLE[number % len(PEOPLE)]
    *_, locale, timezone_hours = CITIES[number % len(CITIES)]
    return {
        "status": "1",
        "verified": str(number % 2),
        "psid": f"100000000000{number:04d}",
        "customerId": f"FB-{number}",
        "name": name,
        "profile_pic": f"https://example.com/pictures/{number}.png?width=256&ext=png",
        "gender": "",
        "locale": locale,
        "timezone": timezone_hours,
        "channel": "fb",
        "createdOn": plain_time(number),
        "updatedOn": plain_time(number + 60),
    }


def twitter(number: int) -> Attributes:
    """Return the attributes of a Twitter user."""
    name = PEOPLE[number % len(PEOPLE)]
    city, _, country, *_, timezone_hours = CITIES[number % len(CITIES)]
    return {
        "status": "1",
        "verified": str(number % 2),
        "twitterid": f"900000{number:04d}",
        "twitter_handle": f"example_{name.split()[0].lower()}_{number}",
        "twitter_name": name,
        "customerId": f"TW-{number}",
        "geolocation": f"{city}, {country}",
        "timezone": timezone_hours,
        "channel": "twitter",
        "createdOn": plain_time(number),
        "updatedOn": plain_time(number + 60),
    }


def wechat(number: int) -> Attributes:
    """Return the attributes of a WeChat user."""
    city, province, country, language, *_ = CITIES[number % len(CITIES)]
    return {
        "customerId": f"WC-{number}",
        "city": city,
        "verified": iso_time(number + 60),
        "createdOn": iso_time(number),
        "nick": PEOPLE[number % len(PEOPLE)].split()[0].lower(),
        "status": "1",
        "gender": "",
        "province": province,
        "language": language,
        "country": country,
        "created_on": iso_time(number),
        "updated_on": iso_time(number + 60),
    }


def in_app(number: int) -> Attributes:
    """Return the attributes of a mobile app's user."""
    return device(f"IA-{number}", number)


def push(number: int) -> Attributes:
    """Return the attributes of a device that receives push messages: the same as In-App."""
    return device(f"PU-{number}", number)


def device(customer_id: str, number: int) -> Attributes:
    """Return the attributes that In-App and Push profiles share: a user and that user's device."""
    first_name = PEOPLE[number % len(PEOPLE)].split()[0].lower()
    city, _, country, language, _, timezone_hours = CITIES[number % len(CITIES)]
    make, model, system, version = PHONES[number % len(PHONES)]
    user_id, device_id = f"user-{customer_id}", f"device-{customer_id}"
    return {
        "status": "1",
        "verified": str(number % 2),
        "customerId": customer_id,
        "connectStatus": "1",
        "appId": APP_ID,
        "userId": user_id,
        "password": "",
        "deviceId": device_id,
        "batterylevel": str(20 + number % 80),
        "Bluetooth": "off",
        "cellid": str(10000 + number),
        "connectType": "wifi",
        "email": f"{first_name}.{number}@example.com",
        "externalmemory": "0",
        "foreground": "true",
        "foregroundapp": "com.example.app",
        "idlescreen": "false",
        "imei": f"0010100000{number:05d}",
        "imsi": f"0010100000{number:05d}",
        "internalmemory": "128",
        "IP": f"192.0.2.{1 + number % 254}",
        "language": language,
        "oldlocation": "[]",
        "location": f"{city}, {country}",
        "MAC": f"02:00:00:00:{number // 256:02x}:{number % 256:02x}",
        "make": make,
        "MCC": "001",
        "MNC": "01",
        "model": model,
        "NFC": "on",
        "os": system,
        "osversion": version,
        "phonemode": "normal",
        "presence": "available",
        "RAM": "8",
        "resolution": "1080x2400",
        "roaming": "false",
        "serialnumber": f"SN{number:06d}",
        "signalstrength": str(1 + number % 5),
        "teleco": "Example Mobile",
        "timespent": str(30 * (number % 20)),
        "timezone": timezone_hours,
        "useragent": f"ExampleApp/2.4 ({system} {version})",
        "pushId": f"push-token-{customer_id}",
        "rtmId": f"{user_id}_{device_id}",
        "createdOn": plain_time(number),
        "last_opened": iso_time(number + 90),
        "last_upgraded": iso_time(number + 30),
        "channel": "rt",
        "accounts": "",
        "sdkversion": "6.20.0",
    }


def records(make_attributes: Callable[[int], Attributes], numbers: Iterable[int]) -> list[Record]:
    """Return one record for each number."""
    profiles = [make_attributes(number) for number in numbers]
    return [{"customerId": attributes["customerId"], "Attributes": attributes} for attributes in profiles]


def as_json(rows: list[Record]) -> str:
    """Return records as JSON, in the envelope that the service expects."""
    return json.dumps({"Records": rows}, indent=2, ensure_ascii=False) + "\n"


def as_json_lines(rows: list[Record]) -> str:
    """Return one record per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: list[Record]) -> str:
    """Return a table: the column customerId is the record's id, the other columns are its attributes."""
    attributes = [row["Attributes"] for row in rows]
    others = [name for name in attributes[0] if name != "customerId"]
    text = io.StringIO()
    table = csv.DictWriter(text, ["customerId", *others], lineterminator="\n")
    table.writeheader()
    table.writerows(attributes)
    return text.getvalue()


def sample_files() -> dict[str, str]:
    """Return all sample files: name -> text."""
    channels = {
        "facebook": records(facebook, range(1001, 1006)),
        "twitter": records(twitter, range(1001, 1005)),
        "wechat": records(wechat, range(1001, 1006)),
        "in_app": records(in_app, range(1001, 1007)),
        "push": records(push, range(1001, 1006)),
    }
    files = {"in_app_250.csv": as_csv(records(in_app, range(2001, 2251)))}
    for channel, rows in channels.items():
        files[f"{channel}.json"] = as_json(rows)
        files[f"{channel}.jsonl"] = as_json_lines(rows)
        files[f"{channel}.csv"] = as_csv(rows)
    return files


def main() -> None:
    """Write all sample files."""
    DATA.mkdir(parents=True, exist_ok=True)
    for name, text in sample_files().items():
        (DATA / name).write_text(text, encoding="utf-8", newline="")
    print(f"Wrote {len(sample_files())} files to {DATA}")


if __name__ == "__main__":
    main()
