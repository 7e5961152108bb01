"""A file of records to submit."""

import json


def write_records(path, count):
    """Write Facebook profiles as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            attributes = {
                "status": "1",
                "verified": "1",
                "psid": f"{number:016d}",
                "customerId": f"C{number}",
                "name": f"Customer {number}",
                "profile_pic": f"https://example.com/pictures/{number}.jpg",
                "gender": "female",
                "locale": "en_GB",
                "timezone": "1",
                "channel": "fb",
                "createdOn": "2018-08-26 12:26:03",
                "updatedOn": "2018-08-26 12:26:03",
            }
            file.write(json.dumps({"customerId": f"C{number}", "Attributes": attributes}) + "\n")
